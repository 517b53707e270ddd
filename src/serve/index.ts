export { SERVE_DEFAULTS, type ServedNetwork, type ServeOptions, serveNetwork } from "./serve_network.js";
