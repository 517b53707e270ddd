export class Tiny {
  constructor(options) {
    this.options = options;
  }
}
export const tiny = (options) => new Tiny(options);
export default (options) => ({ made: options });
export const ready = { made: "before" };
export const number = 3;
