// What a typed program of CommonJS modules uses, to be compiled and not run.
import { type DataLoader, distill, type Module } from "distillery";

export const train = (model: Module, { dataset }: DataLoader) =>
  distill({ teacher: model, student: model, data: dataset });
