import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { DistilleryError } from "./errors.js";

/**
 * Has a server listen, and gives its port; port 0 takes any that is free. `IN_USE` if the port is taken, `IO_ERROR`.
 */
export async function listen(server: Server, port: number, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    // Never taken off: an error of a later connection, as with too many files open, must not end the server.
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
