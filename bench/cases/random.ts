import { Generator } from "distillery";
import { dropout } from "../baseline/dropout.js";
import { MersenneTwister } from "../baseline/rng.js";
import { native } from "../native.js";
import { type Case, numbers } from "./case.js";
import { draws } from "./work.js";

/** What draws from the random stream. */
export function randomCases(): Case[] {
  return [dropoutCase(64 * 2048), uniformCase(64 * 2048)];
}

function dropoutCase(count: number): Case {
  const { state } = new Generator(0);
  const random = new MersenneTwister(state.slice());
  const x = numbers(count);
  const [out, mask] = [new Float32Array(count), new Uint8Array(count)];
  const [inPlace, maskPlain] = [x.slice(), new Uint8Array(count)];
  return {
    name: "dropout, with its mask",
    shape: String(count),
    work: draws(count, x.length, out.length, mask.length / 4),
    kernel: () => native.dropoutForward(x, 0.3, state, mask, out),
    plain: () => dropout(inPlace, 0.3, random, maskPlain),
    results: [out, inPlace],
  };
}

function uniformCase(count: number): Case {
  const { state } = new Generator(0);
  const random = new MersenneTwister(state.slice());
  const [out, outPlain] = [new Float32Array(count), new Float32Array(count)];
  return {
    name: "random stream, uniforms",
    shape: String(count),
    work: draws(count, out.length),
    kernel: () => native.randomUniform(state, out, -1, 1),
    plain: () => random.uniform(outPlain, -1, 1),
    results: [out, outPlain],
  };
}
