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
import { createNetwork, networkSpecOf, weightsMetadata } from "../../src/models/create_network.js";
import { Mlp } from "../../src/models/mlp.js";
import { refusal } from "../data/support.js";
import { temporaryFolder } from "../support.js";

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
    ["four layers without BatchNorm", { ...student().stateDict(), "fc4.weight": randn([2, 3]) }],
  ])("%s", async (_, state) => {
    const message = await refusal("BAD_CHECKPOINT", () => networkFrom(state));
    expect(message).toMatch(
      /^(no keys|the keys [\w., ]+) are of no network that is recognised \(student, teacher\): name it, as \{ network: "mlp\(hidden=\[64\]\)" \}/,
    );
  });

  test.each<[string, StateDict, string]>([
    ["a bias is missing", without(student().stateDict(), "fc2.bias"), 'the file lacks "fc2.bias"'],
    ["a key too many", { ...student().stateDict(), more: tensor([1]) }, 'the network has no "more"'],
    [
      "layers that do not fit each other",
      { ...student().stateDict(), "fc2.weight": randn([4, 9]) },
      "fc2.weight is [4, 9], not [4, 6]",
    ],
  ])("%s", async (_, state, problem) => {
    const message = await refusal("STATE_DICT_MISMATCH", () => networkFrom(state));
    expect(message).toBe(`the weights do not fit student(hidden=[6, 4]) of [5] to 3 classes: ${problem}`);
  });

  test("a last matrix too many is no guess of the classes of a named network", async () => {
    const state = { ...student().stateDict(), extra: randn([9, 3]) };
    const message = await refusal("STATE_DICT_MISMATCH", () =>
      networkFrom(state, { network: "student(hidden=[6, 4])" }),
    );
    expect(message).toBe(
      'the weights do not fit student(hidden=[6, 4]) of [5] to 3 classes: the network has no "extra"',
    );
    // Classes that were told are no guess.
    const told = { network: "student(hidden=[6, 4])", classes: 9 };
    expect(await refusal("STATE_DICT_MISMATCH", () => networkFrom(state, told))).toMatch(
      /to 9 classes: the network has no "extra"; fc3\.weight is \[3, 4\], not \[9, 4\], and 1 more$/,
    );
  });
});

describe("a network is made by its text", () => {
  test.each([
    ["teacher", [3, 8192, 8192], "201,326,592"],
    ["mlp(hidden=[64])", [3, 8192, 8192], "201,326,592"],
  ])("%s for samples of %j, whose weights fit into no memory", async (network, shape, values) => {
    expect(await refusal("BAD_ARGUMENT", () => createNetwork(network, { shape, classes: 2 }))).toBe(
      `network: its weights for samples of ${values} values do not fit into memory: use smaller images (--image-size), ` +
        "fewer columns (--drop-columns) or a smaller network",
    );
  });

  const context = { shape: [5], classes: 3 };

  test.each([
    ["student(hidden=[6, 4])", student],
    ["teacher(hidden=[7, 6, 4])", teacher],
  ])("%s: the class with the same draws", (text, make) => {
    const [one, two] = [new Generator(3), new Generator(3)];
    const made = withGenerator(one, () => createNetwork(text, context));
    const expected = withGenerator(two, make);
    expect(made.constructor).toBe(expected.constructor);
    expect(fingerprint(made.stateDict())).toBe(fingerprint(expected.stateDict()));
  });

  test("of a sample of several axes, all its values are inputs", () => {
    const network = createNetwork("student", { shape: [1, 28, 28], classes: 4 });
    expect(network.stateDict()["fc1.weight"].shape).toEqual([512, 784]);
    expect(networkSpecOf(network)).toEqual({ network: "student(hidden=[512, 256])", shape: [1, 28, 28], classes: 4 });
  });

  test("its text has every default; classes of their own text have theirs, classes made of them none", () => {
    expect(networkSpecOf(createNetwork("mlp([8])", context))).toEqual({
      network: "mlp(hidden=[8], dropout=0, norm=none, activation=relu)",
      ...context,
    });
    expect(networkSpecOf(student())).toEqual({ network: "student(hidden=[6, 4])", ...context });
    class Mine extends StudentNet {}
    expect(networkSpecOf(new Mine())).toBeNull();
    expect(networkSpecOf(new Linear(2, 2))).toBeNull();
  });

  test.each<[string, unknown, string]>([
    ["mlp([64])", undefined, "context: expected { shape, classes }, as { shape: [784], classes: 10 }, got undefined"],
    ["mlpx", context, 'network: unknown network "mlpx", did you mean mlp?'],
    ["student(hidden=[1])", context, "network: student: hidden: expected a list of 2 widths, got"],
    [
      "student(hidden=[1, 0])",
      context,
      "network: student: hidden[1]: expected a whole number from 1 to 2147483647, got 0",
    ],
    ["mlp", { shape: [], classes: 3 }, "shape: expected the shape of one sample, as [784], got"],
    ["mlp", { shape: [1.5], classes: 3 }, "shape[0]: expected a whole number from 1 to 2147483647, got 1.5"],
    ["mlp", { shape: [5], classes: 0 }, "classes: expected a whole number from 1 to 2147483647, got 0"],
  ])("%s, %j is refused", async (text, context, message) => {
    const refused = await refusal("BAD_ARGUMENT", () => createNetwork(text, context as never));
    expect(refused.startsWith(message)).toBe(true);
  });
});

describe("a state dict with metadata", () => {
  const metadata = (network: string, shape = "[5]", classes = "3") => ({
    "distillery.network": network,
    "distillery.shape": shape,
    "distillery.classes": classes,
  });
  const mlp = () => createNetwork("mlp(hidden=[6, 4], norm=batch)", { shape: [5], classes: 3 });

  test("is the network that they name", () => {
    const network = mlp();
    const again = networkFrom(network.stateDict(), { metadata: weightsMetadata(network) });
    expect(again).toBeInstanceOf(Mlp);
    expect(weightsMetadata(again)).toEqual(metadata("mlp(hidden=[6, 4], dropout=0, norm=batch, activation=relu)"));
    const x = randn([4, 5]);
    expect(again.eval().forward(x).data).toEqual(network.eval().forward(x).data);
  });

  test("or the one that is named, its sizes by metadata or weights", () => {
    const { network: _, ...rest } = { network: 1, ...metadata("mlp(hidden=[6, 4], norm=batch)") };
    const options = { network: "mlp([6, 4], 0, batch)" };
    for (const texts of [rest, {}]) {
      expect(networkSpecOf(networkFrom(mlp().stateDict(), { ...options, metadata: texts }))).toMatchObject({
        shape: [5],
        classes: 3,
      });
    }
  });

  test.each<[string, Record<string, string>, string]>([
    [
      "weights that do not fit",
      metadata("mlp(hidden=[6, 5], norm=batch)"),
      "the weights do not fit mlp(hidden=[6, 5], dropout=0, norm=batch, activation=relu) of [5] to 3 classes: fc2.weight is [4, 6], not [5, 6], and 6 more",
    ],
    ["another input", metadata("mlp(hidden=[6, 4], norm=batch)", "[6]"), "the weights do not fit"],
    ["another number of classes", metadata("mlp(hidden=[6, 4], norm=batch)", "[5]", "4"), "the weights do not fit"],
  ])("%s are refused", async (_, metadata, message) => {
    const refused = await refusal("STATE_DICT_MISMATCH", () => networkFrom(mlp().stateDict(), { metadata }));
    expect(refused.startsWith(message), refused).toBe(true);
  });

  test.each([
    ["hidden layers", "mlp(hidden=[1000000, 1000000])", "[5]"],
    ["many of them", `mlp(hidden=[${Array(5000).fill(4000).join(", ")}])`, "[5]"],
    ["samples", "mlp(hidden=[6, 4], norm=batch)", "[2147483647]"],
    ["ones", "mlp(hidden=[2147483647], norm=batch)", "[1]"],
  ])("sizes that the file does not back are not allocated: %s", async (_, network, shape) => {
    const before = process.memoryUsage().rss;
    const texts = metadata(network, shape);
    const refused = await refusal("STATE_DICT_MISMATCH", () => networkFrom(mlp().stateDict(), { metadata: texts }));
    expect(refused).toMatch(/^the weights do not fit mlp\(.*: it has more than \d+ values$/);
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
  });

  test.each<[Record<string, string>, string]>([
    [metadata("mlp("), "in its metadata, distillery.network: expected a value at character 5, got the end"],
    [metadata("mlp + mlp"), 'in its metadata, distillery.network: expected one network, got "mlp + mlp"'],
    [metadata("mlpx"), 'in its metadata, distillery.network: unknown network "mlpx", did you mean mlp?'],
    [
      metadata("mlp", "[2147483647, 1000]"),
      "in its metadata, inFeatures: expected a whole number from 1 to 2147483647",
    ],
    [metadata("mlp", "784"), "in its metadata, shape: expected the shape of one sample, as [784], got 784"],
    [metadata("mlp", "["), 'in its metadata, shape: expected the shape of one sample, as [784], got "["'],
    [metadata("mlp", "[1e99]"), "in its metadata, shape[0]: expected a whole number"],
    [metadata("mlp", "[5]", "x"), 'in its metadata, classes: expected a whole number from 1 to 2147483647, got "x"'],
    [
      { "distillery.network": "mlp" },
      "in its metadata, shape: expected the shape of one sample, as [784], got undefined",
    ],
    [metadata("./net.mjs#Tiny"), "was made as ./net.mjs#Tiny, a user module, which runs only if you name it"],
  ])("damaged ones, %j, are refused", async (metadata, message) => {
    const refused = await refusal("BAD_CHECKPOINT", () => networkFrom(mlp().stateDict(), { metadata }));
    expect(refused.startsWith(message), refused).toBe(true);
  });

  test("another network than the one that is named is refused", async () => {
    const options = { network: "mlp(hidden=[6, 4])", metadata: metadata("mlp(hidden=[6, 4], norm=batch)") };
    expect(await refusal("BAD_CHECKPOINT", () => networkFrom(mlp().stateDict(), options))).toBe(
      "was made as mlp(hidden=[6, 4], dropout=0, norm=batch, activation=relu), not as mlp(hidden=[6, 4], dropout=0, norm=none, activation=relu)",
    );
  });

  test("a user's class is made if it is named and imported, and never by metadata alone", async () => {
    class Tiny extends Linear {
      constructor({ shape, classes, scale }: { shape: number[]; classes: number; scale: number }) {
        super(shape[0] * scale, classes);
      }
    }
    const modules = new Map<string, unknown>([["./tiny.mjs#Tiny", Tiny]]);
    const text = "./tiny.mjs#Tiny(scale=2)";
    const network = createNetwork(text, { shape: [5], classes: 3 }, { modules });
    expect(network.stateDict().weight.shape).toEqual([3, 10]);
    const texts = weightsMetadata(network);
    expect(texts).toEqual(metadata(text));
    const state = network.stateDict();
    await refusal("BAD_CHECKPOINT", () => networkFrom(state, { metadata: texts, modules }));
    expect(networkFrom(state, { network: text, metadata: texts, modules })).toBeInstanceOf(Tiny);
  });
});

function without(state: StateDict, key: string): StateDict {
  const { [key]: _, ...rest } = state;
  return rest;
}

describe("keys under a prefix", () => {
  const under = (prefix: string, state: StateDict) =>
    Object.fromEntries(Object.entries(state).map(([key, value]) => [prefix + key, value]));

  test.each("ema_model online_model backbone encoder network teacher _forward_module _fsdp_wrapped_module".split(" "))(
    "%s. is taken off with a note",
    (name) => {
      const state = student().stateDict();
      const notes: string[] = [];
      const network = networkFrom(under(`${name}.`, state), { onNote: (text) => notes.push(text) });
      expect([notes, fingerprint(network.stateDict())]).toEqual([[`took "${name}." off all keys`], fingerprint(state)]);
      expect(
        fingerprint(
          student()
            .loadStateDict(under(`${name}.`, state))
            .stateDict(),
        ),
      ).toBe(fingerprint(state));
    },
  );

  test.each([
    ["model.", { "loss_fn.weight": randn([3]) }],
    ["model.", { "train_acc.total": tensor([1]) }],
    ["lit.inner.", { other: tensor([1]) }],
    ["own.", {}],
  ])("%s beside %j: the error names the option", async (prefix, more) => {
    const state = { ...under(prefix, student().stateDict()), ...more };
    const advice = `--strip-prefix ${prefix} reads them, in a program { stripPrefix: "${prefix}" }`;
    expect(await refusal("STATE_DICT_MISMATCH", () => student().loadStateDict(state))).toContain(`do: ${advice}`);
    expect(await refusal("BAD_CHECKPOINT", () => networkFrom(state))).toContain(`are: ${advice}`);
    const named = { network: "student(hidden=[6, 4])", shape: [5], classes: 3 };
    expect(await refusal("STATE_DICT_MISMATCH", () => networkFrom(state, named))).toContain(`do: ${advice}`);
  });
});

test("what a network is not made for is refused with the nearest name", async () => {
  const context = { shape: [4], classes: 2, normalize: true } as never;
  expect(await refusal("BAD_ARGUMENT", () => createNetwork("mlp(hidden=[4])", context))).toBe(
    'context: unknown option "normalize", expected one of shape, classes, vocabulary',
  );
});
