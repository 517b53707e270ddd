import { badArgument, expectInteger, expectLength, optionsOf } from "../checks.js";
import { expectPreprocessing, type Preprocessing } from "../data/preprocessing/spec.js";
import { recordOf } from "../models/training_record.js";
import { expectModule } from "../nn/expect_module.js";
import type { Module } from "../nn/module.js";
import { NetworkServer } from "./network_server.js";
import { Predictor } from "./predictor.js";

/** How a network is served, and the limits of a request. */
export interface ServeOptions {
  /** Default 8080; 0 takes any free port. */
  port?: number;
  /** The address to listen on; default 127.0.0.1, this machine only. */
  host?: string;
  /** The maximum size of a request's body in bytes; default 10 MB. */
  maxBody?: number;
  /** The maximum number of samples in a request, and in a batch; default 1000. */
  maxSamples?: number;
  /**
   * The milliseconds within which a request has to arrive, a client has to read some of its response, and a closing
   * server has to send its responses; default 10 s.
   */
  timeout?: number;
  /** How samples become inputs; default: the network's preprocessing; null: samples are the inputs. */
  preprocessing?: Preprocessing | null;
}

/** The defaults of {@link ServeOptions}. */
export const SERVE_DEFAULTS = {
  port: 8080,
  host: "127.0.0.1",
  maxBody: 10_000_000,
  maxSamples: 1000,
  timeout: 10_000,
} as const;

/** A network that is being served. */
export interface ServedNetwork {
  /** Ends in a slash: `${url}predict`. */
  readonly url: string;
  /** Accepts no more requests, answers those that have arrived, and ends. */
  close(): Promise<void>;
}

/**
 * Serves a network over HTTP. `POST /predict` takes a list of samples as JSON and returns `{ predictions }`, in the
 * form of {@link predict}; `GET /healthz` says whether it accepts requests, and `GET /metrics` returns metrics for
 * Prometheus. Requests that arrive together are computed as one batch. From the second batch on, samples of the shape
 * that came first are computed by {@link freezeGraph} of the network, so its weights must not change; other samples,
 * and those of a network that can't be frozen, are computed by the network itself. Errors are JSON, `{ code, message
 * }`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a wrong option, `SHAPE_MISMATCH` for a preprocessing of another network,
 * `IN_USE` if the port is taken, `IO_ERROR`.
 * @example
 * ```ts
 * const { url, close } = await serveNetwork(await loadNetwork("student.safetensors"), { port: 8080 });
 * ```
 */
export async function serveNetwork(network: Module, options: ServeOptions = {}): Promise<ServedNetwork> {
  expectModule("network", network);
  const given = optionsOf("options", SERVE_DEFAULTS, options, ["preprocessing"]);
  const { port, host, maxBody, maxSamples, timeout, preprocessing = recordOf(network)?.preprocessing ?? null } = given;
  if (typeof host !== "string" || host === "") throw badArgument("host", "an address", host);
  expectInteger("port", port, 0, 65_535);
  expectInteger("maxBody", maxBody, 1, 2 ** 30);
  expectLength("maxSamples", maxSamples);
  expectInteger("timeout", timeout, 1, 2 ** 31 - 1);
  if (preprocessing !== null) expectPreprocessing(preprocessing);
  const predictor = new Predictor(network, preprocessing);
  predictor.expectFit();
  const server = new NetworkServer(predictor, { maxBody, maxSamples, timeout });
  const taken = await server.listen(port, host);
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${taken}/`,
    close: () => server.close(),
  };
}
