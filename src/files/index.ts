export { expectNotPrinted } from "./expect_not_printed.js";
export { badData, errorCode, expectSize, ioError } from "./file_errors.js";
export { hashFile } from "./hash_file.js";
export { makeFolder } from "./make_folder.js";
export * from "./read.js";
export { openSliced, readHead, readSlice, type SlicedFile } from "./slices.js";
export { replaceFile, writeJson, writeWhole } from "./write.js";
