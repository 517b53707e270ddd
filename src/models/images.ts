import * as v from "valibot";
import { argumentError } from "../checks.js";
import type { Module } from "../nn/module.js";
import { length, type OptionsOf } from "../registry/index.js";
import { defineNetwork, type NetworkContext, type NetworkEntry } from "./network.js";

/** The images that a convolutional network is made for. */
interface Images {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/**
 * The images of a network's samples; `BAD_ARGUMENT` that names the network and both shapes if they are none, or if a
 * side is below `least` pixels.
 */
export function expectImages(network: string, { shape }: Pick<NetworkContext, "shape">, least = 1): Images {
  const [channels, height, width] = shape;
  if (shape.length === 3 && height >= least && width >= least) return { channels, height, width };
  const size = least > 1 ? ` of at least ${least} x ${least} pixels` : "";
  const text = `${network} takes images [channels, height, width]${size}, got samples of [${shape.join(", ")}]`;
  throw argumentError("network", text);
}

/** What the constructor of a network for images is told beside its options. */
export const images = (classes = 10) => ({ channels: v.optional(length(), 3), classes: v.optional(length(), classes) });

/** What an entry of a network for images has instead of {@link NetworkEntry.create}. */
interface ImageNetwork<E extends v.ObjectEntries> extends Omit<NetworkEntry<E>, "create"> {
  /** The least height and width that it takes; default 1. */
  readonly leastSide?: number;
  /** Makes it by its options, for images of `channels` channels. */
  make(options: OptionsOf<E> & { channels: number; classes: number }): Module;
}

/** The entry of a network whose weights depend on the channels of images and not on their size. */
export function defineImageNetwork<E extends v.ObjectEntries>(network: ImageNetwork<E>): NetworkEntry<E> {
  const { leastSide, make, ...entry } = network;
  return defineNetwork({
    ...entry,
    create: (options, context) =>
      make({
        ...options,
        channels: expectImages(entry.name, context, leastSide).channels,
        classes: context.classes,
      }),
  });
}
