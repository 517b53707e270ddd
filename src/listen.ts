import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { DistilleryError } from "./errors.js";

/**
 * Makes a server listen, and returns its port; port 0 takes any free one. Throws `IN_USE` if the port is taken, else
 * `IO_ERROR`.
 */
export async function listen(server: Server, port: number, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    // Never removed: an error of a later connection, such as too many open files, must not end the server.
    server.on("error", (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === "EADDRINUSE";
      const text = isTaken
        ? `port ${port} is taken: give another, or 0 for any that is free`
        : `port ${port} of ${host}: ${error.message}`;
      reject(new DistilleryError(isTaken ? "IN_USE" : "IO_ERROR", text, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
  return (server.address() as AddressInfo).port;
}
