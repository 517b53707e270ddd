import { badArgument, expectInteger, expectNumber } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { expectModule } from "./expect_module.js";
import { dropout, relu } from "./functional.js";
import { forwardRelu } from "./linear.js";
import { Module } from "./module.js";

/**
 * max(x, 0). `torch.nn.ReLU`.
 *
 * @example
 * ```ts
 * new ReLU().forward(tensor([-1, 2])); // [0, 2]
 * ```
 */
export class ReLU extends Module {
  constructor(extra?: never) {
    super();
    if (extra !== undefined) throw badArgument("ReLU", "no arguments", extra);
  }

  override forward(x: Tensor): Tensor {
    return relu(x);
  }
}

const { forward: reluForward } = ReLU.prototype;

/**
 * Zeroes elements with probability p in train mode and divides the others by 1 - p. `torch.nn.Dropout`.
 *
 * @example
 * ```ts
 * const layer = new Dropout(0.2);
 * layer.forward(ones([4, 8])); // zeros and 1.25
 * layer.eval().forward(ones([4, 8])); // ones
 * ```
 */
export class Dropout extends Module {
  constructor(
    readonly p = 0.5,
    extra?: never,
  ) {
    super();
    if (extra !== undefined) throw badArgument("Dropout", "p alone", extra);
    expectNumber("p", p, (p) => p >= 0 && p <= 1, "a chance from 0 to 1");
  }

  override forward(x: Tensor): Tensor {
    return dropout(x, this.p, this.training);
  }

  override extraRepr(): string {
    return `p=${this.p}, inplace=False`;
  }
}

/**
 * Zeroes whole channels of x [images, channels, ...] with probability p in train mode and divides the others by 1 - p.
 * `torch.nn.Dropout2d`.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` for x without axes behind the channels.
 * @example
 * ```ts
 * new Dropout2d(0.5).forward(ones([2, 16, 8, 8])); // each 8 x 8 is zeros or twos
 * ```
 */
export class Dropout2d extends Dropout {
  override forward(x: Tensor): Tensor {
    expectTensor("Dropout2d: x", x);
    if (x.shape.length < 3) {
      const text = `Dropout2d: expected x [images, channels, ...], got [${x.shape.join(", ")}]`;
      throw new DistilleryError("SHAPE_MISMATCH", text);
    }
    if (!this.training || this.p === 0) return x;
    // Ones [images, channels] computed from x: a traced graph then draws as many as a later batch has images.
    const ones = x.flatten(2).slice(0, 1, { dim: 2 }).detach().pow(0);
    return x.mul(dropout(ones, this.p).reshape([...x.shape.slice(0, 2), ...x.shape.slice(2).map(() => 1)]));
  }
}

/**
 * The axes from `startDim` to `endDim` as one. `torch.nn.Flatten`.
 *
 * @example
 * ```ts
 * new Flatten().forward(randn([64, 16, 8, 8])).shape; // [64, 1024]
 * ```
 */
export class Flatten extends Module {
  constructor(
    readonly startDim = 1,
    readonly endDim = -1,
  ) {
    super();
    for (const [name, dim] of Object.entries({ startDim, endDim })) expectInteger(name, dim, -(2 ** 31), 2 ** 31 - 1);
  }

  override forward(x: Tensor): Tensor {
    expectTensor("Flatten: x", x);
    return x.flatten(this.startDim, this.endDim);
  }

  override extraRepr(): string {
    return `start_dim=${this.startDim}, end_dim=${this.endDim}`;
  }
}

/**
 * Its input as it is. `torch.nn.Identity`.
 *
 * @example
 * ```ts
 * const shortcut = stride === 1 ? new Identity() : new Conv2d(16, 32, 1, { stride });
 * ```
 */
export class Identity extends Module {
  override forward(x: Tensor): Tensor {
    return x;
  }
}

/**
 * Modules one after another. `torch.nn.Sequential`: its children are named 0, 1, 2.
 *
 * @example
 * ```ts
 * const net = new Sequential(new Linear(784, 64), new ReLU(), new Linear(64, 10));
 * ```
 */
export class Sequential extends Module {
  readonly #modules: readonly Module[];

  constructor(...modules: Module[]) {
    super();
    for (const [i, module] of modules.entries()) expectModule(`modules[${i}]`, module);
    this.#modules = modules;
  }

  override namedChildren(): [string, Module][] {
    return this.#modules.map((module, i) => [String(i), module]);
  }

  override forward(x: Tensor): Tensor {
    const modules = this.#modules;
    let value = x;
    for (let i = 0; i < modules.length; i++) {
      const next = modules[i + 1];
      if (next instanceof ReLU && next.forward === reluForward) {
        value = forwardRelu(modules[i], value);
        i += 1;
      } else value = modules[i].forward(value);
    }
    return value;
  }
}
