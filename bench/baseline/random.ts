const N = 624;
const M = 397;
/** The position in the state of the index of the next word. */
const INDEX = N;

/**
 * MT19937 on a state of PyTorch's stream: 624 words and the index of the next one. The state is the caller's, such as
 * a copy of `Generator.state`; words after these two are not touched.
 */
export class MersenneTwister {
  readonly #state: Uint32Array;

  constructor(state: Uint32Array) {
    this.#state = state;
  }

  /** The next 32 bits. */
  nextU32(): number {
    const state = this.#state;
    let index = state[INDEX];
    if (index >= N) {
      twist(state);
      index = 0;
    }
    state[INDEX] = index + 1;
    let y = state[index];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** A double in [0, 1) of 53 bits, from two draws, the first one on top. */
  unit(): number {
    const high = this.nextU32() & 0x1fffff;
    return (high * 0x1_0000_0000 + this.nextU32()) * 2 ** -53;
  }

  /** Fills with uniforms of [from, to), of 24 bits each; product and sum are rounded once, as PyTorch does. */
  uniform(out: Float32Array, from: number, to: number): void {
    const unit = Math.fround(to - from) * 2 ** -24;
    for (let i = 0; i < out.length; i++) out[i] = (this.nextU32() & 0xffffff) * unit + from;
  }
}

function twist(state: Uint32Array): void {
  for (let i = 0; i < N - M; i++) state[i] = mix(state[i], state[i + 1], state[i + M]);
  for (let i = N - M; i < N - 1; i++) state[i] = mix(state[i], state[i + 1], state[i + M - N]);
  state[N - 1] = mix(state[N - 1], state[0], state[M - 1]);
}

function mix(upper: number, lower: number, far: number): number {
  const y = (upper & 0x80000000) | (lower & 0x7fffffff);
  return far ^ (y >>> 1) ^ (-(lower & 1) & 0x9908b0df);
}

/**
 * Draws which elements are kept, each with chance 1 - p, and applies it to x in place: kept ones are divided by 1 - p.
 */
export function dropout(x: Float32Array, p: number, random: MersenneTwister, keep: Uint8Array): void {
  const scale = 1 / (1 - p);
  for (let i = 0; i < x.length; i++) {
    const kept = random.unit() < 1 - p;
    keep[i] = kept ? 1 : 0;
    x[i] = kept ? x[i] * scale : 0;
  }
}
