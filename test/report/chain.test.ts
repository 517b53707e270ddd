import { join } from "node:path";
import { expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import {
  createNetwork,
  csvLog,
  distill,
  distillChain,
  Generator,
  type Module,
  splitDataset,
  trainTeacher,
  withGenerator,
} from "../../src/index.js";
import { blobs } from "../compare/support.js";
import { failure, temporaryFolder } from "../support.js";

const folder = temporaryFolder();
const make = (network: string) => () => createNetwork(network, { shape: [4], classes: 3 });
const networks = ["mlp(hidden=[16])", "mlp(hidden=[8])", "mlp(hidden=[4])"].map(make);
const hash = (network: Module) => fingerprint(network.stateDict());

function setting() {
  const { train: data, heldOut: validation } = splitDataset(blobs(120, 1), { fraction: 0.2 });
  return { data, validation, epochs: 2, batchSize: 32, lr: 0.01 };
}

test("each network is distilled from the best weights of the one before, with the next seed", async () => {
  const input = setting();
  const links = await distillChain({ ...input, networks, seed: 5, temperature: 2 });
  expect(links.map(({ name, seed, isDistilled }) => [name, seed, isDistilled])).toEqual([
    ["link-1", 5, false],
    ["link-2", 6, true],
    ["link-3", 7, true],
  ]);
  let before: Module | null = null;
  for (const [i, { network, history }] of links.entries()) {
    const generator = new Generator(5 + i);
    const own = withGenerator(generator, networks[i]);
    const teacher: Module | null = before;
    const { best, history: byHand } = await withGenerator(generator, () =>
      teacher === null
        ? trainTeacher({ ...input, model: own })
        : distill({ ...input, teacher, student: own, temperature: 2 }),
    );
    own.loadStateDict(best?.state ?? {});
    expect(hash(network)).toBe(hash(own));
    expect(history.map(({ metrics }) => metrics)).toEqual(byHand.map(({ metrics }) => metrics));
    before = own;
  }
});

test("a teacher of one's own teaches the first; what is done is not trained again", async () => {
  const input = { ...setting(), teacher: make("mlp(hidden=[32])")(), networks: networks.slice(1) };
  const out = join(folder, "chain");
  const whole = await distillChain({ ...input, out });
  expect(whole.map(({ isDistilled }) => isDistilled)).toEqual([true, true]);
  expect(whole[0].files[0]).toBe(join(out, "link-1", "distilled_student_model_lowest.pth"));
  let steps = 0;
  const again = await distillChain({ ...input, out, resume: true, onStep: () => steps++ });
  expect(again.map(({ network }) => hash(network))).toEqual(whole.map(({ network }) => hash(network)));
  expect(steps).toBe(0);
  const longer = distillChain({ ...input, epochs: 4, out, resume: true, onStep: () => steps++ });
  expect((await failure(longer, "BAD_CONFIG")).message).toContain(
    "link-1: epochs was 2, is 4, and link-2 has learned from it: ",
  );
  expect(steps).toBe(0);
});

test("what is wrong is said, and in which link", async () => {
  const input = setting();
  const refused = async (more: object) =>
    (await failure(distillChain({ ...input, networks, ...more }), "BAD_ARGUMENT")).message;
  const makers = "networks: expected a list of functions that make a network, as [() => new Net()], got";
  expect(await refused({ networks: [] })).toBe(`${makers} an empty list`);
  expect(await refused({ networks: undefined })).toBe(`${makers} undefined`);
  expect(await refused({ networks: [networks[0], 2] })).toBe(
    "networks[1]: expected a function that makes a network, got 2",
  );
  expect(await refused({ networks: undefined, netwroks: networks })).toBe(
    "netwroks: unknown option, did you mean networks?",
  );
  expect(await refused({ seed: -1 })).toBe("seed: expected a whole number of at least 0, got -1");
  expect(await refused({ logs: [csvLog(join(folder, "chain.csv"))] })).toMatch(
    /^logs: each link would replace the log of the one before: /,
  );
  expect(await refused({ temprature: 2 })).toMatch(/^temprature: unknown option, did you mean temperature/);
  let steps = 0;
  const counted = (more: object) => refused({ ...more, onStep: () => steps++ });
  expect(await counted({ loss: "hint(student=fc9)" })).toMatch(/^link-2: .*fc9/);
  expect(await counted({ loss: "kdd" })).toMatch(/^link-2: loss: unknown loss "kdd", did you mean kd\?/);
  const narrow = () => createNetwork("mlp(hidden=[4])", { shape: [4], classes: 2 });
  const wrong = distillChain({ ...input, networks: [networks[0], narrow], onStep: () => steps++ });
  expect((await failure(wrong, "SHAPE_MISMATCH")).message).toBe(
    "link-2: student: gives 2 logits a sample, the data have 3 classes",
  );
  expect(steps).toBe(0);
});

test("the first, trained on the labels, alone reads a label smoothing that the loss of the others does not", async () => {
  const input = { ...setting(), epochs: 1, networks: networks.slice(1) };
  const run = (more: object) =>
    distillChain({ ...input, ...more }).then((links) => links.map(({ network }) => hash(network)));
  const [teacher] = await run({ labelSmoothing: 0.1, networks: networks.slice(1, 2) });
  const smooth = await run({ labelSmoothing: 0.1, loss: "kd(temperature=1)" });
  expect(smooth[0]).toBe(teacher);
  expect(smooth[1]).not.toBe((await run({ loss: "kd(temperature=1)" }))[1]);
  expect((await run({ labelSmoothing: 0.1, alpha: 1 }))[0]).toBe(teacher);
});
