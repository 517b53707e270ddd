import { Module } from "./module.js";

/** A network, and whether it is to be in train mode. */
type Mode = readonly [network: Module, training: boolean];

/** The modes of every module in some networks, as their `train()` sets them: found once, set at each step of a loop. */
export class Modes {
  readonly #modules: readonly Module[];
  /** The indices of modules with their own `train()`, which does more than set the mode; outer modules come first. */
  readonly #own: readonly number[];
  readonly #wanted: readonly boolean[];

  constructor(modes: readonly Mode[]) {
    this.#modules = modes.flatMap(([network]) => network.modules());
    this.#own = this.#modules.flatMap(({ train }, i) => (train === Module.prototype.train ? [] : [i]));
    // What run() sets until the modes are known: those that are.
    this.#wanted = this.#current();
    this.#wanted = this.run(() => {
      for (const [network, training] of modes) network.train(training);
      return this.#current();
    });
  }

  /** Runs `body` in these modes; the mode of each module is set back afterwards. */
  run<T>(body: () => T): T {
    const before = this.#current();
    try {
      this.#set(this.#wanted);
      return body();
    } finally {
      this.#set(before);
    }
  }

  #current(): boolean[] {
    return this.#modules.map(({ training }) => training);
  }

  #set(modes: readonly boolean[]): void {
    for (const i of this.#own) if (this.#modules[i].training !== modes[i]) this.#modules[i].train(modes[i]);
    for (let i = 0; i < modes.length; i++) this.#modules[i].training = modes[i];
  }
}

/** Runs `body` with a network in eval mode; the mode of each module in it is set back. */
export function withEvalMode<T>(network: Module, body: () => T): T {
  return new Modes([[network, false]]).run(body);
}
