import { CIFAR_VERSIONS, type Cifar } from "../formats/cifar.js";
import { FOUR_IDX, IDX_FILES } from "../formats/idx.js";
import type { Normalisation } from "../statistics.js";

/** A file as the mirrors of a data set have it. */
export interface PublicFile {
  readonly name: string;
  readonly bytes: number;
  /** In hex. */
  readonly sha256: string;
}

/** A data set that is loaded by its name. */
export interface DatasetInfo {
  readonly title: string;
  /** The name of its format in `FORMATS`. */
  readonly format: string;
  /** The usual numbers that its pixels are normalised with. */
  readonly normalisation?: Normalisation;
  /** The names of its classes, if its files do not say them. */
  readonly classNames?: readonly string[];
  /** What it is made of, for errors. */
  readonly parts: string;
  /** The files of the whole set, each by the names that it may have. */
  readonly files: readonly (readonly string[])[];
  /** More that its archive has: the names of the classes. */
  readonly extras?: readonly string[];
  /** The folder that its archive unpacks to. */
  readonly unpacked?: string;
  /** Where packages of systems put it, and which do. */
  readonly packaged?: { readonly folder: string; readonly advice: string };
  /** Addresses of folders; the first that answers is taken. */
  readonly mirrors: readonly string[];
  /** One for each of `files`, or an archive that holds them. */
  readonly downloads: readonly PublicFile[];
}

/** The size and SHA-256 of each of the MNIST family's files, in the order of `IDX_FILES`. */
function gzipped(...files: readonly (readonly [bytes: number, sha256: string])[]): PublicFile[] {
  return files.map(([bytes, sha256], i) => ({ name: `${IDX_FILES[i]?.[0]}.gz`, bytes, sha256 }));
}

function cifarFiles(version: Cifar): string[][] {
  const { train, test } = CIFAR_VERSIONS[version];
  return [...train, test].map((file) => [file]);
}

/**
 * The data sets that are loaded by name. Addresses are torchvision's, sizes and hashes those of TensorFlow Datasets.
 */
export const CATALOG: Readonly<Record<string, DatasetInfo>> = {
  "fashion-mnist": {
    title: "70,000 grey images of 28 x 28, ten kinds of clothes",
    format: "idx",
    normalisation: { mean: 0.286, std: 0.353 },
    classNames: [
      "T-shirt/top",
      "Trouser",
      "Pullover",
      "Dress",
      "Coat",
      "Sandal",
      "Shirt",
      "Sneaker",
      "Bag",
      "Ankle boot",
    ],
    parts: FOUR_IDX,
    files: IDX_FILES,
    // Debian's and Ubuntu's.
    packaged: { folder: "/usr/share/datasets/fashion-mnist", advice: "apt install dataset-fashion-mnist" },
    mirrors: ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"],
    downloads: gzipped(
      [26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"],
      [29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"],
      [4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"],
      [5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"],
    ),
  },
  mnist: {
    title: "70,000 grey images of 28 x 28, handwritten digits",
    format: "idx",
    normalisation: { mean: 0.1307, std: 0.3081 },
    parts: FOUR_IDX,
    files: IDX_FILES,
    mirrors: ["https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"],
    downloads: gzipped(
      [9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"],
      [28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"],
      [1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"],
      [4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"],
    ),
  },
  kmnist: {
    title: "70,000 grey images of 28 x 28, ten letters of old Japanese script",
    format: "idx",
    normalisation: { mean: 0.1918, std: 0.3483 },
    classNames: ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
    parts: FOUR_IDX,
    files: IDX_FILES,
    mirrors: ["http://codh.rois.ac.jp/kmnist/dataset/kmnist"],
    downloads: gzipped(
      [18165135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"],
      [29497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"],
      [3041136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"],
      [5120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"],
    ),
  },
  "cifar-10": {
    title: "60,000 colour images of 32 x 32 in ten classes",
    format: "cifar",
    normalisation: { mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] },
    parts: "the binary version's files",
    files: cifarFiles("cifar-10"),
    extras: [CIFAR_VERSIONS["cifar-10"].names],
    unpacked: "cifar-10-batches-bin",
    mirrors: ["https://www.cs.toronto.edu/~kriz"],
    downloads: [
      {
        name: "cifar-10-binary.tar.gz",
        bytes: 170052171,
        sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
      },
    ],
  },
  "cifar-100": {
    title: "60,000 colour images of 32 x 32 in a hundred classes",
    format: "cifar",
    normalisation: { mean: [0.5071, 0.4865, 0.4409], std: [0.2673, 0.2564, 0.2762] },
    parts: "the binary version's files",
    files: cifarFiles("cifar-100"),
    extras: [CIFAR_VERSIONS["cifar-100"].names, "coarse_label_names.txt"],
    unpacked: "cifar-100-binary",
    mirrors: ["https://www.cs.toronto.edu/~kriz"],
    downloads: [
      {
        name: "cifar-100-binary.tar.gz",
        bytes: 168513733,
        sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
      },
    ],
  },
};
