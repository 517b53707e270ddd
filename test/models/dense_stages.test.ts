import { describe, expect, test } from "vitest";
import { BatchNorm1d, Dropout, Linear, ReLU, Sequential, StudentNet, TeacherNet } from "../../src/index.js";
import { denseStages } from "../../src/models/dense_stages.js";

const none = { relu: false, norm: null, dropout: null };
const linear = () => new Linear(4, 4);

describe("the stages of a network", () => {
  test("of the script's networks", () => {
    const student = new StudentNet({ inFeatures: 4, hidden: [3, 3], classes: 2 });
    expect(denseStages(student)).toEqual([
      { ...none, linear: student.fc1, relu: true },
      { ...none, linear: student.fc2, relu: true },
      { ...none, linear: student.fc3 },
    ]);
    const teacher = new TeacherNet({ inFeatures: 4, hidden: [3, 3, 3], classes: 2 });
    const stages = denseStages(teacher);
    expect(stages?.map((stage) => Object.values(stage))).toEqual([
      [teacher.fc1, true, teacher.bn1, teacher.dropout1],
      [teacher.fc2, true, teacher.bn2, teacher.dropout2],
      [teacher.fc3, true, teacher.bn3, teacher.dropout3],
      [teacher.fc4, false, null, null],
    ]);
  });

  test("of a Sequential of such layers", () => {
    const [a, b, c, norm] = [linear(), linear(), linear(), new BatchNorm1d(4)];
    expect(denseStages(new Sequential(a, norm, new ReLU(), b, new ReLU(), c))).toEqual([
      { ...none, linear: a, relu: true, norm },
      { ...none, linear: b, relu: true },
      { ...none, linear: c },
    ]);
    expect(denseStages(new Sequential())).toEqual([]);
  });
});

class OwnTeacher extends TeacherNet {}
class OwnLinear extends Linear {}
const small = { inFeatures: 4, hidden: [3, 3, 3], classes: 2 } as const;

test.each([
  ["a class made of a network", () => new OwnTeacher(small)],
  ["a network with a forward of its own", () => Object.assign(new TeacherNet(small), { forward: (x: never) => x })],
  ["a layer of a class of one's own", () => new Sequential(new OwnLinear(4, 4))],
  ["a layer with a forward of its own", () => new Sequential(Object.assign(linear(), { forward: (x: never) => x }))],
  ["BatchNorm without ReLU", () => new Sequential(linear(), new BatchNorm1d(4), linear())],
  ["dropout without BatchNorm", () => new Sequential(linear(), new ReLU(), new Dropout(0.1), linear())],
  ["ReLU first", () => new Sequential(new ReLU(), linear())],
  ["ReLU twice", () => new Sequential(linear(), new ReLU(), new ReLU())],
  ["a network inside of another", () => new Sequential(new Sequential(linear()), linear())],
])("%s is not known", (_, network) => {
  expect(denseStages(network())).toBeNull();
});
