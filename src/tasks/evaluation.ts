/** What every evaluation has, whatever the task. */
interface AnyEvaluation {
  samples: number;
  /** The mean of the task's loss. */
  loss: number;
  /** Of several targets: metrics of each, by their names. */
  perTarget?: readonly Readonly<Record<string, number>>[];
}

/** Precision, recall and their harmonic mean for one class; 0 if nothing was predicted, or the class has no samples. */
export interface ClassReport {
  precision: number;
  recall: number;
  f1: number;
  /** The number of samples of this class. */
  support: number;
}

/** How well confidence, the probability of the predicted class, tells how often a network is right. */
export interface Calibration {
  /**
   * The expected calibration error (Guo et al., 2017), from 0 to 1: the difference of confidence and accuracy in a bin,
   * averaged over the samples.
   */
  error: number;
  /** 15 bins of equal width over the confidence, from 0 to 1; each has its upper end. */
  bins: CalibrationBin[];
}

/** The samples whose confidence lies in a bin: its mean, and the fraction that is right; both 0 if there are none. */
export interface CalibrationBin {
  confidence: number;
  accuracy: number;
  count: number;
}

/** How well a network classifies. */
export interface Evaluation extends AnyEvaluation {
  /** The fraction of samples that are classified right. */
  accuracy: number;
  correct: number;
  /** The mean cross-entropy; infinite if the logit of a sample's class is -Infinity. */
  loss: number;
  calibration: Calibration;
  /** confusion[true class][predicted class]. */
  confusion: number[][];
  /** By class. */
  perClass: ClassReport[];
  /** With a teacher: its accuracy, and the fraction of samples that both classify alike, right or wrong. */
  teacherAccuracy?: number;
  agreement?: number;
}

/** How well a network tells one target. Errors are in the unit of its column. */
export interface TargetReport extends Readonly<Record<string, number>> {
  /**
   * The coefficient of determination; as scikit-learn has it, 1 or, if there is any error, 0 for a target that is
   * always the same.
   */
  r2: number;
  rmse: number;
  mae: number;
}

/** How well a network does in a regression: means over the targets, each of the same weight. */
export interface RegressionEvaluation extends AnyEvaluation, Pick<TargetReport, "r2" | "rmse" | "mae"> {
  /** The mean squared error of the values as the network gives them: standardised, if the targets are. */
  loss: number;
  perTarget: TargetReport[];
  /** With a teacher: its R2, and the R2 of the student against the teacher's outputs instead of the targets. */
  teacherR2?: number;
  agreement?: number;
}

/** How well a network tells one label; a label counts as predicted if its probability is above 0.5. */
export interface LabelReport extends Readonly<Record<string, number>> {
  /** Average precision, from the order of the outputs; as scikit-learn has it, 0 for a label that no sample has. */
  averagePrecision: number;
  /** 0 if the label is neither there nor predicted. */
  f1: number;
  precision: number;
  recall: number;
  /** The samples that have it. */
  support: number;
}

/** How well a network tells several labels at once: means over the labels, each of the same weight. */
export interface MultiLabelEvaluation extends AnyEvaluation {
  averagePrecision: number;
  f1: number;
  /** The mean binary cross-entropy. */
  loss: number;
  perTarget: LabelReport[];
  /** With a teacher: its average precision, and the fraction of decisions that both make alike. */
  teacherAveragePrecision?: number;
  agreement?: number;
}

/**
 * How alike a network's vectors and the targets are; similarities are cosines, and the numbers of dimensions may
 * differ.
 */
export interface VectorEvaluation extends AnyEvaluation {
  /**
   * The mean over samples of how many of the ten nearest others among the targets are among the ten nearest here, as a
   * fraction; of fewer than 21 samples the nearer half. 1 of fewer than 3.
   */
  retrieval: number;
  /** Spearman's correlation of the similarities of all pairs; 0 if one side's are all the same. */
  spearman: number;
  /** The mean cosine of a vector and its target; missing if their dimensions differ. */
  cosine?: number;
  /** 1 - cosine plus the mean squared error or, if the dimensions differ, 1 - spearman. */
  loss: number;
  /** With a teacher: its retrieval agreement with the targets, and the student's with the teacher. */
  teacherRetrieval?: number;
  agreement?: number;
}

/** How well a network does, whatever the task; `"accuracy" in evaluation` and the like tell which it is. */
export type TaskEvaluation = Evaluation | RegressionEvaluation | MultiLabelEvaluation | VectorEvaluation;
