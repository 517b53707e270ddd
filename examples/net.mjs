/**
 * A network for `--student ./net.mjs#Tiny`: its constructor gets the shape of a sample, the classes and the arguments.
 */
import { F, Linear, Module } from "distillery";

export class Tiny extends Module {
  constructor({ shape, classes, hidden = 16 }) {
    super();
    this.fc1 = new Linear(shape[0], hidden);
    this.fc2 = new Linear(hidden, classes);
  }

  forward(x) {
    return this.fc2.forward(F.gelu(this.fc1.forward(x)));
  }
}
