import { DistilleryError } from "../errors.js";
import type { NetworkContext } from "./network.js";

/** The images that a convolutional network is made for. */
interface Images {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/**
 * The images of a network's samples; `BAD_ARGUMENT` that names the network and both shapes if they are none, or if a side is
 * below `least` pixels.
 */
export function expectImages(network: string, { shape }: Pick<NetworkContext, "shape">, least = 1): Images {
  const [channels, height, width] = shape;
  if (shape.length === 3 && height >= least && width >= least) return { channels, height, width };
  const size = least > 1 ? ` of at least ${least} x ${least} pixels` : "";
  const text = `${network} takes images [channels, height, width]${size}, got samples of [${shape.join(", ")}]`;
  throw new DistilleryError("BAD_ARGUMENT", `network: ${text}`);
}
