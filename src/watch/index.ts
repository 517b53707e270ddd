export { type WatchServer, watchServer } from "./watch_server.js";
