import { Linear, Module } from "distillery";

/** A network of one's own: its constructor gets `{ shape, classes, ...arguments }`. */
export class Tiny extends Module {
  constructor({ shape, classes, hidden = 8 }) {
    super();
    this.first = new Linear(shape[0], hidden);
    this.second = new Linear(hidden, classes);
  }

  forward(x) {
    return this.second.forward(this.first.forward(x).relu());
  }
}

export const linear = ({ shape, classes }) => new Linear(shape[0], classes);
export const wrong = () => 3;
