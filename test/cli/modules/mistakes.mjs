import { Linear, Module } from "distillery";

class Tiny extends Module {
  constructor({ shape, classes }) {
    super();
    this.layer = new Linear(shape[0], classes);
  }
}

export class NoForward extends Tiny {}
export class Nothing extends Tiny {
  forward(x) {
    this.layer.forward(x);
  }
}
export class List extends Tiny {
  forward(x) {
    return [this.layer.forward(x)];
  }
}
export class Async extends Tiny {
  async forward(x) {
    return this.layer.forward(x);
  }
}

export const throwsNull = () => {
  throw null;
};
export const throwsText = () => {
  throw "of my own";
};

const loss = (config) => () => ({
  name: "mine",
  needsTeacher: false,
  config: () => config,
  compute: ({ student }) => ({ loss: student.logits.mean(), metrics: {} }),
});
const circle = {};
circle.circle = circle;
export const circular = loss(circle);
export const bigint = loss({ size: 3n });
