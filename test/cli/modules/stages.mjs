import { Conv2d, Linear, Module } from "distillery";

/** Two stages without BatchNorm, the second of one position for images of 4 x 4. */
export default class Stages extends Module {
  constructor({ shape, classes }) {
    super();
    this.first = new Conv2d(shape[0], 4, 3, { stride: 2, padding: 1 });
    this.second = new Conv2d(4, 8, 3, { stride: 2, padding: 1 });
    this.fc = new Linear(8, classes);
  }

  forward(x) {
    return this.fc.forward(this.second.forward(this.first.forward(x).relu()).relu().flatten(1));
  }
}
