import { badArgument, expectInteger, expectOptions } from "../checks.js";
import type { Tensor } from "../tensor/tensor.js";
import { expectModule } from "./expect_module.js";
import { Module } from "./module.js";
import { TransformerEncoderLayer } from "./transformer_encoder_layer.js";

/**
 * Copies of a layer one after another, then `norm` if there is one. `torch.nn.TransformerEncoder`, with its state keys:
 * `layers.0.self_attn.in_proj_weight`, ..., `norm.weight`. As there, all copies start with the values of the layer,
 * which is no part of it: initialise them anew, as with `init.xavierUniform`, unless weights are loaded.
 *
 * @example
 * ```ts
 * const layer = new TransformerEncoderLayer(64, 4, { batchFirst: true });
 * const encoder = new TransformerEncoder(layer, 2, { norm: new LayerNorm(64) });
 * for (const parameter of encoder.parameters()) if (parameter.shape.length > 1) init.xavierUniform(parameter);
 * encoder.forward(randn([8, 12, 64])).shape; // [8, 12, 64]
 * ```
 */
export class TransformerEncoder extends Module {
  readonly layers: readonly TransformerEncoderLayer[];
  readonly norm: Module | null;

  constructor(encoderLayer: TransformerEncoderLayer, numLayers: number, options: { norm?: Module | null } = {}) {
    super();
    // Of a class of its own the copies would be without what it adds.
    if (Object.getPrototypeOf(encoderLayer ?? 0) !== TransformerEncoderLayer.prototype)
      throw badArgument("encoderLayer", "a TransformerEncoderLayer", encoderLayer);
    expectInteger("numLayers", numLayers, 1, 2 ** 16);
    expectOptions("TransformerEncoder", options, ["norm"]);
    const { norm = null } = options;
    if (norm !== null) expectModule("norm", norm);
    this.layers = Array.from({ length: numLayers }, () => encoderLayer.copy());
    this.norm = norm;
  }

  /**
   * @param mask [length, length], or [batch * heads, length, length]: 1 where a token does not attend to another, 0
   * elsewhere.
   * @param srcKeyPaddingMask [batch, length]: 1 where a token is padding, 0 elsewhere.
   */
  override forward(src: Tensor, mask?: Tensor, srcKeyPaddingMask?: Tensor): Tensor {
    const out = this.layers.reduce((x, layer) => layer.forward(x, mask, srcKeyPaddingMask), src);
    return this.norm === null ? out : this.norm.forward(out);
  }
}
