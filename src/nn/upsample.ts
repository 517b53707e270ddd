import { argumentError, badArgument, expectElements, expectOptions, expectPositive } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { type Pair, pairOf } from "../ops/conv2d.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { Module } from "./module.js";

/** The options of {@link Upsample}: one of size and scaleFactor. */
export interface UpsampleOptions {
  /** Rows and columns of the output. */
  size?: Pair;
  /** Output rows and columns per input row and column. */
  scaleFactor?: number | readonly [rows: number, columns: number];
  /** Only "nearest": each output is the input's element at floor(i / scale). */
  mode?: "nearest";
}

/**
 * Repeats the rows and columns of images x [images, channels, height, width]. `torch.nn.Upsample` in mode "nearest".
 *
 * @throws DistilleryError `BAD_ARGUMENT` unless one of size and scaleFactor is given; `SHAPE_MISMATCH` for x of another
 * rank.
 * @example
 * ```ts
 * new Upsample({ scaleFactor: 2 }).forward(randn([8, 16, 7, 7])).shape; // [8, 16, 14, 14]
 * ```
 */
export class Upsample extends Module {
  readonly #size: readonly [number, number] | null;
  readonly #scale: readonly [number, number] | null;
  readonly #given: UpsampleOptions;

  constructor(options: UpsampleOptions) {
    super();
    expectOptions("Upsample", options, ["size", "scaleFactor", "mode"]);
    const { size, scaleFactor, mode = "nearest" } = options;
    if (mode !== "nearest") throw badArgument("mode", '"nearest"', mode);
    if ((size === undefined) === (scaleFactor === undefined)) {
      throw argumentError("Upsample", "expected size or scaleFactor, and not both");
    }
    this.#size = size === undefined ? null : pairOf("size", size, 1);
    const factor = (value: number) => expectPositive("scaleFactor", value);
    const factors = Array.isArray(scaleFactor) ? scaleFactor : [scaleFactor, scaleFactor];
    if (factors.length !== 2)
      throw badArgument("scaleFactor", "a number, or one for rows and one for columns", scaleFactor);
    this.#scale = scaleFactor === undefined ? null : [factor(factors[0]), factor(factors[1])];
    this.#given = options;
  }

  override forward(x: Tensor): Tensor {
    expectTensor("Upsample: x", x);
    if (x.shape.length !== 4) {
      const text = `Upsample: expected x [images, channels, height, width], got [${x.shape.join(", ")}]`;
      throw new DistilleryError("SHAPE_MISMATCH", text);
    }
    const [images, channels, ...lengths] = x.shape;
    const outputs = lengths.map(
      (length, axis) => this.#size?.[axis] ?? Math.floor(length * (this.#scale?.[axis] ?? 1)),
    );
    if (outputs.includes(0)) {
      const text = `Upsample: expected an output of at least one row and column, got [${outputs.join(", ")}]`;
      throw new DistilleryError("SHAPE_MISMATCH", text);
    }
    expectElements("Upsample: output", [images, channels, ...outputs]);
    const [rows, columns] = outputs.map((_, axis) => this.#indices(lengths[axis], outputs[axis], axis));
    return x.indexSelect(2, rows).indexSelect(3, columns);
  }

  /** The input's row, or column, of each of the output. */
  #indices(length: number, outputs: number, axis: number): IntTensor {
    // PyTorch takes the same rows, or each of them twice, whatever the scale.
    const times = outputs / length;
    if (times === 1 || times === 2)
      return new IntTensor(Int32Array.from({ length: outputs }, (_, i) => Math.floor(i / times)));
    const scale = this.#scale?.[axis];
    // In single precision, as PyTorch has it.
    const step = Math.fround(scale === undefined ? length / outputs : 1 / scale);
    const indices = Int32Array.from({ length: outputs }, (_, i) =>
      Math.min(Math.floor(Math.fround(i * step)), length - 1),
    );
    return new IntTensor(indices);
  }

  override extraRepr(): string {
    const text = (value: unknown) => (Array.isArray(value) ? `(${value.map(float).join(", ")})` : float(value));
    const float = (value: unknown) => (this.#scale !== null && Number.isInteger(value) ? `${value}.0` : String(value));
    const given =
      this.#scale === null ? `size=${text(this.#given.size)}` : `scale_factor=${text(this.#given.scaleFactor)}`;
    return `${given}, mode='nearest'`;
  }
}
