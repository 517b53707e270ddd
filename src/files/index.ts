export { badData, ioError } from "./file_errors.js";
export { kindOf, listFiles, listFolders, MAX_FILE_BYTES, readWhole } from "./read.js";
export { writeWhole } from "./write.js";
