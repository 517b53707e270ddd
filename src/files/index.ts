export { ioError } from "./io_error.js";
export { kindOf, listFiles, listFolders, MAX_FILE_BYTES, readWhole } from "./read.js";
export { writeWhole } from "./write.js";
