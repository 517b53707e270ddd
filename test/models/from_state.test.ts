import { describe, expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import {
  Generator,
  Linear,
  load,
  networkFrom,
  randn,
  Sequential,
  type StateDict,
  StudentNet,
  save,
  TeacherNet,
  tensor,
  withGenerator,
} from "../../src/index.js";
import { temporaryFolder } from "../checkpoint/support.js";
import { refusal } from "../data/support.js";

const folder = temporaryFolder();
const teacher = () => new TeacherNet({ inFeatures: 5, hidden: [7, 6, 4], classes: 3 });
const student = () => new StudentNet({ inFeatures: 5, hidden: [6, 4], classes: 3 });

describe("the network of a state dict", () => {
  test.each([
    ["TeacherNet", teacher],
    ["StudentNet", student],
  ])("%s of any sizes, with its values", (name, make) => {
    const network = make();
    network.forward(randn([4, 5]));
    const again = networkFrom(network.stateDict());
    expect(again.constructor.name).toBe(name);
    expect(again).not.toBe(network);
    expect(fingerprint(again.stateDict())).toBe(fingerprint(network.stateDict()));
    const x = randn([4, 5]);
    expect(again.eval().forward(x).data).toEqual(network.eval().forward(x).data);
  });

  test.each([".pth", ".safetensors"])("out of a file: %s", async (extension) => {
    const network = teacher();
    const file = `${folder}/teacher${extension}`;
    await save(network.stateDict(), file);
    expect(fingerprint(networkFrom(await load(file)).stateDict())).toBe(fingerprint(network.stateDict()));
  });

  test("draws what making the network draws", () => {
    const state = student().stateDict();
    const [one, two] = [new Generator(3), new Generator(3)];
    withGenerator(one, () => networkFrom(state));
    withGenerator(two, student);
    expect([...one.state]).toEqual([...two.state]);
  });
});

describe("what is none of them", () => {
  test.each<[string, StateDict]>([
    ["nothing", {}],
    ["a single layer", new Linear(3, 2).stateDict()],
    ["layers by number", new Sequential(new Linear(3, 2), new Linear(2, 2)).stateDict()],
    ["a vector for a weight", { "fc1.weight": tensor([1]), "fc2.weight": tensor([1]), "fc3.weight": tensor([1]) }],
    ["a layer too few", without(student().stateDict(), "fc3.weight")],
    ["a teacher's layer too few", without(teacher().stateDict(), "fc4.weight")],
  ])("%s", async (_, state) => {
    const message = await refusal("BAD_CHECKPOINT", () => networkFrom(state));
    expect(message).toBe(
      `expected the keys of a TeacherNet or StudentNet, got ${Object.keys(state).slice(0, 4).join(", ")}...`,
    );
  });

  test.each<[string, StateDict, string]>([
    ["a bias is missing", without(student().stateDict(), "fc2.bias"), 'Missing key(s) in state_dict: "fc2.bias".'],
    ["a key too many", { ...student().stateDict(), more: tensor([1]) }, 'Unexpected key(s) in state_dict: "more".'],
    [
      "layers that do not fit each other",
      { ...student().stateDict(), "fc2.weight": randn([4, 9]) },
      "size mismatch for fc2.weight: copying a param with shape [4, 9] from checkpoint, " +
        "the shape in current model is [4, 6].",
    ],
  ])("%s", async (_, state, problem) => {
    const message = await refusal("STATE_DICT_MISMATCH", () => networkFrom(state));
    expect(message).toBe(`Error(s) in loading state_dict for StudentNet:\n\t${problem}`);
  });
});

function without(state: StateDict, key: string): StateDict {
  const { [key]: _, ...rest } = state;
  return rest;
}
