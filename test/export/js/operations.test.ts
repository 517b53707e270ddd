import { expect, test } from "vitest";
import { exportJs, Linear } from "../../../src/index.js";
import { expectAsForward, GIVE_INTEGERS, networksOf, OPERATIONS } from "../../ops/support.js";
import { Of } from "../networks.js";
import { exported } from "./support.js";

/** The functions without a form in JavaScript, and why. */
const WITHOUT: Readonly<Record<string, string>> = {
  where: "its mask may depend on the sample",
  topk: "its places may depend on the sample",
  ...Object.fromEntries(GIVE_INTEGERS.map((name) => [name, "it gives whole numbers"])),
};

test.each(OPERATIONS.filter((name) => WITHOUT[name] === undefined))("%s gives what forward does", (name) => {
  for (const one of networksOf(name)) {
    const { forward } = exported(one.network, { features: one.x.size });
    expectAsForward(forward(one.x.data), one);
  }
});

test.each(Object.entries(WITHOUT))("%s is refused: %s", (name) => {
  for (const { network, x } of networksOf(name)) {
    expect(() => exportJs(network, { features: x.size })).toThrow(
      /^network: expected one that JavaScript can express; in forward\(\), /,
    );
  }
});

test("a slice of the batch is refused", () => {
  const layer = new Linear(3, 3);
  expect(() => exportJs(new Of((x) => layer.forward(x.slice(0, 1)), layer))).toThrow(
    "network: expected one that JavaScript can express; in forward(), slice() takes rows out of the batch",
  );
});
