// What bundle.mjs bundles.
import { manualSeed, randn } from "distillery";

manualSeed(0);
console.log(randn([2]).toArray());
