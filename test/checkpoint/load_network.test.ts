import { expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/index.js";
import { createNetwork, loadNetwork, StudentNet, save } from "../../src/index.js";
import { weightsMetadata } from "../../src/models/create_network.js";
import { refusal } from "../data/support.js";
import { temporaryFolder } from "../support.js";

const folder = temporaryFolder();
const context = { shape: [5], classes: 3 };

test("a .safetensors file says which network it holds", async () => {
  const network = createNetwork("mlp(hidden=[4])", context);
  const file = `${folder}/mlp.safetensors`;
  await save(network.stateDict(), file, { metadata: weightsMetadata(network) });
  const again = await loadNetwork(file);
  expect(weightsMetadata(again)).toEqual(weightsMetadata(network));
  expect(fingerprint(again.stateDict())).toBe(fingerprint(network.stateDict()));
});

test("a .pth file takes it from the .safetensors file of the same weights beside it", async () => {
  const network = createNetwork("mlp(hidden=[4])", context);
  await save(network.stateDict(), `${folder}/pair.pth`);
  await save(network.stateDict(), `${folder}/pair.safetensors`, { metadata: weightsMetadata(network) });
  expect(weightsMetadata(await loadNetwork(`${folder}/pair.pth`))).toEqual(weightsMetadata(network));
  const other = createNetwork("mlp(hidden=[4])", context);
  await save(other.stateDict(), `${folder}/pair.pth`);
  expect(await refusal("BAD_CHECKPOINT", () => loadNetwork(`${folder}/pair.pth`))).toMatch(
    /pair\.pth: the keys fc1\.weight/,
  );
});

test("a .pth file alone is recognised, or named", async () => {
  const student = new StudentNet({ inFeatures: 5, hidden: [6, 4], classes: 3 });
  await save(student.stateDict(), `${folder}/student.pth`);
  expect(await loadNetwork(`${folder}/student.pth`)).toBeInstanceOf(StudentNet);
  const network = createNetwork("mlp(hidden=[4])", context);
  await save(network.stateDict(), `${folder}/alone.pth`);
  expect(weightsMetadata(await loadNetwork(`${folder}/alone.pth`, { network: "mlp([4])" }))).toEqual(
    weightsMetadata(network),
  );
  expect(
    await refusal("STATE_DICT_MISMATCH", () => loadNetwork(`${folder}/alone.pth`, { network: "mlp([4, 4])" })),
  ).toMatch(
    /^.*alone\.pth: the weights do not fit mlp\(hidden=\[4, 4\], dropout=0, norm=none, activation=relu\) of \[5\] to 3 classes: /,
  );
});

test("a missing file is named", async () => {
  expect(await refusal("NOT_FOUND", () => loadNetwork(`${folder}/none.pth`))).toMatch(/none\.pth/);
});
