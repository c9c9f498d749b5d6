"""The parts that ship in the box, registered by path: a part is imported only when a suite uses it."""

from fairl_bench.hookspecs import Register, hookimpl
from fairl_bench.kinds.evaluator import RECOVERED_REWARD

_HERE = "fairl_bench.builtin."
_CONCEPTS = _HERE + "judges.concepts."


@hookimpl
def fairl_sources(register: Register) -> None:
    """Register the sources of preference pairs."""
    register("jsonl", _HERE + "sources.files:Jsonl")
    register("csv", _HERE + "sources.files:Csv")
    register("hub-dataset", _HERE + "sources.hub_dataset:HubDataset")
    register("toy-comments", _HERE + "sources.toy:ToyComments")
    register("aligned-lm", _HERE + "sources.aligned_lm:AlignedLM")
    register("completions-api", _HERE + "sources.completions_api:CompletionsApi")
    register("select", _HERE + "sources.select:Select")
    register("synthetic-linear", _HERE + "sources.synthetic_linear:SyntheticLinear")


@hookimpl
def fairl_testsets(register: Register) -> None:
    """Register the test sets: texts with a known truth."""
    register("jsonl-texts", _HERE + "testsets:JsonlTexts")
    register("joined", _HERE + "testsets:Joined")
    register("judged", _HERE + "testsets:Judged")
    register("completed", _HERE + "testsets:Completed")
    register("toy-comments", _HERE + "testsets:ToyTexts")


@hookimpl
def fairl_prompts(register: Register) -> None:
    """Register the prompts: texts that a language model continues."""
    register("toy-prompts", _HERE + "prompts:ToyPrompts")
    register("text-prompts", _HERE + "prompts:TextPrompts")
    register("jsonl-prompts", _HERE + "prompts:JsonlPrompts")
    register("hub-prompts", _HERE + "prompts:HubPrompts")
    register("openings", _HERE + "openings:Openings")
    register("chat", _HERE + "lms.chat_prompts:ChatPrompts")
    register("divided", _HERE + "shared.divided_prompts:Divided")


@hookimpl
def fairl_lms(register: Register) -> None:
    """Register the language models and the aligners."""
    register("pretrained", _HERE + "lms.pretrained:Pretrained")
    register("tiny-lm", _HERE + "lms.tiny:TinyLM")
    register("completions-api", _HERE + "shared.completions_api:CompletionsApi")
    register("rloo", _HERE + "lms.group_relative:Rloo")
    register("grpo", _HERE + "lms.group_relative:Grpo")
    register("ppo", _HERE + "lms.ppo:Ppo")
    register("best-of", _HERE + "lms.best_of:BestOf")


@hookimpl
def fairl_judges(register: Register) -> None:
    """Register the judges: ground-truth scorers."""
    register("role", _HERE + "judges.known:Role")
    register("constant", _HERE + "judges.known:Constant")
    register("toy-truth", _HERE + "judges.known:ToyTruth")
    register("linear", _HERE + "judges.linear:Linear")
    register("linear-saved", _HERE + "judges.linear:LinearSaved")
    register("sequence-classifier", _HERE + "judges.sequence_classifier:SequenceClassifier")
    register("blend", _HERE + "judges.blend:Blend")
    register("combined", _HERE + "judges.combined:Combined")
    register("detoxify", _HERE + "judges.detoxify:Detoxify")
    register("standardised", _HERE + "shared.standardised_judge:Standardised")
    register("recovered", _HERE + "judges.recovered:RecoveredJudge")
    register("recovered-cell", _HERE + "judges.recovered_cell:RecoveredCell", role=RECOVERED_REWARD)
    # concepts
    register("words", _CONCEPTS + "length:Words")
    register("characters", _CONCEPTS + "length:Characters")
    register("repetition", _CONCEPTS + "form:Repetition")
    register("questions", _CONCEPTS + "form:Questions")
    register("exclamations", _CONCEPTS + "form:Exclamations")
    register("digits", _CONCEPTS + "form:Digits")
    register("lists", _CONCEPTS + "form:Lists")
    register("first-person", _CONCEPTS + "lexical:FirstPerson")
    register("second-person", _CONCEPTS + "lexical:SecondPerson")
    register("hedging", _CONCEPTS + "lexical:Hedging")
    register("apology", _CONCEPTS + "lexical:Apology")
    register("refusal", _CONCEPTS + "lexical:Refusal")
    register("praise", _CONCEPTS + "lexical:Praise")
    register("flattery", _CONCEPTS + "lexical:Flattery")
    register("politeness", _CONCEPTS + "lexical:Politeness")
    register("profanity", _CONCEPTS + "lexical:Profanity")
    register("toxicity-words", _CONCEPTS + "lexical:ToxicityWords")
    register("sentiment", _CONCEPTS + "sentiment:Sentiment")
    register("reading-grade", _CONCEPTS + "reading_grade:ReadingGrade")
    register("word-list", _CONCEPTS + "word_list:WordList")
    register("regex", _CONCEPTS + "pattern:Pattern")
    register("similar-to", _CONCEPTS + "similar:SimilarTo")
    register("concept", _CONCEPTS + "of_judge:OfJudge")
    register("on-prompts", _CONCEPTS + "on_prompts:OnPrompts")
    register("noise", _CONCEPTS + "noise:Noise")


@hookimpl
def fairl_encoders(register: Register) -> None:
    """Register the encoders: maps from texts to embeddings."""
    register("sentence-transformer", _HERE + "encoders.sentence_transformer:SentenceTransformer")
    register("tfidf", _HERE + "encoders.tfidf:Tfidf")
    register("causal-lm", _HERE + "encoders.causal_lm:CausalLM")
    register("numbers", _HERE + "encoders.numbers:Numbers")


@hookimpl
def fairl_methods(register: Register) -> None:
    """Register the IRL algorithms."""
    register("max-margin", _HERE + "methods.pairwise:MaxMargin")
    register("max-entropy", _HERE + "methods.pairwise:MaxEntropy")
    register("plackett-luce", _HERE + "methods.listwise:PlackettLuce")
    register("best-of-k", _HERE + "methods.listwise:BestOfK")
    register("mean-difference", _HERE + "methods.mean_difference:MeanDifference")
    register("failure-aware", _HERE + "methods.failure_aware:FailureAware")
    register("length", _HERE + "methods.length:Length")
    register("majority", _HERE + "methods.majority:Majority")
    register("oracle", _HERE + "methods.oracle:Oracle")
    register("log-ratio", _HERE + "methods.log_ratio:LogRatio")
    register("log-ratio-distilled", _HERE + "methods.log_ratio_distilled:LogRatioDistilled")
    register("endogenous", _HERE + "methods.endogenous:Endogenous")
    register("reward-model", _HERE + "methods.reward_model:RewardModel")
    register("scores", _HERE + "methods.outside_scores:OutsideScores")


@hookimpl
def fairl_detectors(register: Register) -> None:
    """Register the detectors: rules that say which pairs are failures."""
    register("margin", _HERE + "detectors.margins:MarginThreshold")
    register("bottom-fraction", _HERE + "detectors.margins:BottomFraction")
    register("random", _HERE + "detectors.margins:Random")
    register("all", _HERE + "detectors.margins:All")
    register("supervised", _HERE + "detectors.supervised:Supervised")
    register("algorithm-1-line-6", _HERE + "detectors.supervised:LineSix")
    register("union", _HERE + "detectors.union:Union")
    register("mc-dropout", _HERE + "detectors.uncertainty:McDropout")
    register("laplace", _HERE + "detectors.uncertainty:Laplace")


@hookimpl
def fairl_schedules(register: Register) -> None:
    """Register the schedules: numbers that change from round to round."""
    register("constant", _HERE + "schedules:Constant")
    register("linear", _HERE + "schedules:Linear")
    register("exponential", _HERE + "schedules:Exponential")
    register("cosine", _HERE + "schedules:Cosine")


@hookimpl
def fairl_evaluators(register: Register) -> None:
    """Register the evaluators, which turn scores into numbers."""
    register("classification", _HERE + "evaluators.classification:Classification")
    register("failure-detection", _HERE + "evaluators.failure_detection:FailureDetection")
    register("fidelity", _HERE + "evaluators.fidelity:Fidelity")
    register("identifiability", _HERE + "evaluators.identifiability:Identifiability")
    register("realignment", _HERE + "evaluators.realignment:Realignment")
    register("best-of-n", _HERE + "evaluators.best_of_n:BestOfN")
    register("attribution", _HERE + "evaluators.attribution:Attribution")
    register("words", _HERE + "evaluators.words:Words")
    register("token-log-ratio", _HERE + "evaluators.token_log_ratio:TokenLogRatio")
    register("objectives", _HERE + "evaluators.objectives:Objectives")


@hookimpl
def fairl_tables(register: Register) -> None:
    """Register the tables of a report, in the order in which they are shown."""
    register("findings", "fairl_bench.tables.findings:FindingsTable")
    register("table1", "fairl_bench.tables.leaderboard:Leaderboard")
    register("ceiling", "fairl_bench.tables.ceiling:SharesOfCeiling")
    register("table2", "fairl_bench.tables.disagreement:Disagreement")
    register("table3", "fairl_bench.tables.disagreement:DisagreementBySubtype")
    register("slices", "fairl_bench.tables.slices:Slices")
    register("ambiguity", "fairl_bench.tables.ambiguity:Ambiguity")
    register("realignment", "fairl_bench.tables.realignment:RealignmentTables")
    register("attribution", "fairl_bench.tables.attribution:AttributionTable")
    register("words", "fairl_bench.tables.words:WordsTable")
    register("organisms", "fairl_bench.tables.organisms:OrganismsTable")
    register("objectives", "fairl_bench.tables.objectives:ObjectivesTable")
    register("claims", "fairl_bench.tables.claims:Claims")


@hookimpl
def fairl_figures(register: Register) -> None:
    """Register the figures of a report, in the order in which they are shown."""
    register("pipeline", "fairl_bench.figures.pipeline:Pipeline")
    register("shares", "fairl_bench.figures.shares:Shares")
    register("separable", "fairl_bench.figures.shares:Separable")
    register("claims", "fairl_bench.figures.claims:Claims")
    register("organisms", "fairl_bench.figures.organisms:Organisms")
    register("headline", "fairl_bench.figures.headline:Headline")
    register("leaderboard", "fairl_bench.figures.leaderboard:Intervals")
    register("ceiling", "fairl_bench.figures.ceiling:Between")
    register("dose-response", "fairl_bench.figures.dose_response:DoseResponses")
    register("encoders", "fairl_bench.figures.leaderboard:ByEncoder")
    register("selections", "fairl_bench.figures.leaderboard:BySelection")
    register("sweeps", "fairl_bench.figures.sweeps:Sweeps")
    register("rewards", "fairl_bench.figures.rewards:Distributions")
    register("transfer", "fairl_bench.figures.transfer:Transfer")
    register("reliability", "fairl_bench.figures.rewards:Reliability")
    register("training", "fairl_bench.figures.training:TrainingCurves")
    register("subtypes", "fairl_bench.figures.rewards:Subtypes")
    register("realignment-steps", "fairl_bench.figures.realignment:OverSteps")
    register("realignment-kl", "fairl_bench.figures.realignment:AgainstKL")
    register("realignment-proxy", "fairl_bench.figures.realignment:ProxyAgainstTruth")
    register("best-of-n", "fairl_bench.figures.best_of_n:BestOfN")


@hookimpl
def fairl_panels(register: Register) -> None:
    """Register the sections of the page, in the order in which they stand on it."""
    register("summary", "fairl_bench.html.summary:Summary")
    register("tables", "fairl_bench.html.panels:Tables")
    register("figures", "fairl_bench.html.panels:Figures")
    register("evidence", "fairl_bench.html.evidence:Evidence")
    register("samples", "fairl_bench.html.panels:Samples")
    register("failures", "fairl_bench.html.panels:Failures")
    register("records", "fairl_bench.html.panels:Records")
    register("warnings", "fairl_bench.html.warnings:Warnings")
    register("suite", "fairl_bench.html.provenance:Suite")
    register("provenance", "fairl_bench.html.provenance:Provenance")


@hookimpl
def fairl_executors(register: Register) -> None:
    """Register the executors, which do the work of a run."""
    register("here", "fairl_bench.engine.executors.known:HereExecutor")
    register("local", "fairl_bench.engine.executors.known:LocalExecutor")
    register("pool", "fairl_bench.engine.executors.known:PoolExecutor")
    register("ray", "fairl_bench.engine.executors.known:RayExecutor")
