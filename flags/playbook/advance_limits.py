"""The limits that must be shown to be kept before the next step."""

from datetime import timedelta

from pydantic import Field

from flags.playbook.part import Duration, Part, Ratio, Share


class AdvanceLimits(Part):
    """The limits before the next step: every confidence interval must lie within its limits."""

    completeness: Share = Field(
        0.999, description="Pairs found among those that the workers numbered, at least."
    )
    unknown_loss: Share = Field(
        0.001,
        description="Share of pairs that workers may have made, and lost, after their last count "
        "(they were killed), at most.",
    )
    sample_ratio_p: Share = Field(
        0.001,
        description="The share of active pairs must fit the rollout: p-value, at least.",
    )
    noise: Share = Field(
        0.0, description="Share of pairs of the same model twice whose scores differ, at most."
    )
    batch_disagreement: Share = Field(
        0.02,
        description="Of the shadows scored in a batch and by themselves too, the share whose "
        "scores or decisions differ, at most.",
    )
    shadow_sampling: Share = Field(
        0.25,
        description="Share of the pairs scored under SHADOW_MAX_SHARE that may lie at other times "
        "than the traffic, at most: such pairs are too few in busy hours.",
    )
    shed_rate: Share = Field(0.01, description="Share of pairs with a side that was shed, at most.")
    silence: Share = Field(
        0.25, description="Time since the last pair as a share of the hold time, at most."
    )
    gap: Duration = Field(
        timedelta(hours=6), description="A longer time without pairs does not count as hold time."
    )
    alarm_ratio: Ratio = Field(
        1.10, description="Candidate's alarm rate relative to the primary's: 1/x to x."
    )
    min_alarms: int = Field(
        50, ge=0, description="Alarms of both sides together, below which the ratio does not pass."
    )
    no_alarm_ratio: Ratio = Field(
        1.10,
        description="Candidate's rate of requests without an alarm relative to the primary's, if "
        "most requests are alarms: 1/x to x.",
    )
    alarm_overlap: Share = Field(
        0.5,
        description="Of the primary's alarms, the share that the candidate raises too, at least, "
        "unless labels show recall. 0: not checked.",
    )
    segment_alarm_overlap: Share = Field(
        0.25, description="The same within one segment with `segment_min_alarms`, at least."
    )
    distribution_ratio: Ratio = Field(
        1.25,
        description="Candidate's rate beyond quantiles of the primary's outputs, relative to the "
        "primary's: 1/x to x. Checked by default if no threshold is known.",
    )
    rank_overlap: Share = Field(
        0.5,
        description="Of the primary's lowest and highest tenth of outputs, the share that the "
        "candidate has there too, at least. Checked in the same cases. 0: not checked.",
    )
    uncompared: Share = Field(
        0.01, description="Share of pairs without a decision of a side, at most."
    )
    segment_alarm_ratio: Ratio = Field(
        1.50, description="`alarm_ratio` within one segment: 1/x to x."
    )
    segment_min_alarms: int = Field(
        100, ge=0, description="Segments with fewer alarms may fail, but need not pass."
    )
    failure_rate: Share = Field(
        0.002, description="Candidate's failure rate minus the primary's, at most."
    )
    fallback_rate: Share = Field(
        0.01, description="Share of the candidate's requests that the primary answered, at most."
    )
    latency_p50: Ratio = Field(
        1.5, description="Candidate's median duration relative to the primary's, at most."
    )
    latency_p95: Ratio = Field(1.5, description="The same at the 95th percentile.")
    latency_p99: Ratio = Field(2.0, description="The same at the 99th percentile.")
    fast_enough: Duration = Field(
        timedelta(milliseconds=5),
        description="A latency quantile of the candidate below this passes whatever the ratio is.",
    )
    min_positives: int = Field(
        100, ge=0, description="Positive labels below which quality does not pass."
    )
    recall_loss: Share = Field(
        0.05, description="Recall that the candidate may lose, where labels are demanded."
    )
    segment_recall_loss: Share = Field(0.10, description="The same within one segment.")
    average_precision_loss: Share = Field(
        0.02, description="Average precision that it may lose, where labels are demanded."
    )
    win_rate: Share = Field(
        0.45,
        gt=0,
        description="Of the pairs whose texts differ, the share in which the candidate's is "
        "preferred, at least; a tie counts half.",
    )
    segment_factor: Ratio = Field(
        2.0,
        description="Numbers, classes, rankings and texts within one segment: the factor by which "
        "a difference may be larger than over all pairs; the limit of a share, at least, is raised "
        "to this power.",
    )
    judge_consistency: Share = Field(
        0.5,
        description="Of the pairs judged in both orders, the share in which the judge names the "
        "same winner, or a tie, both times, at least.",
    )
    number_bias: float = Field(
        0.1,
        ge=0,
        description="Numbers without a threshold: the mean difference of the sides, in spreads of "
        "the primary's numbers, at most, unless labels show the error.",
    )
    number_distance: float = Field(
        0.5, ge=0, description="The same for the mean absolute difference of the sides."
    )
    error_loss: float = Field(
        0.05,
        ge=0,
        description="Numbers: by which part of the primary's mean error the candidate's may be "
        "larger (pinball loss of a quantile), where labels are demanded.",
    )
    gross_errors: Share = Field(
        0.002,
        description="Numbers: the share of errors beyond ten times the primary's mean error, the "
        "candidate's minus the primary's, at most.",
    )
    class_agreement: Share = Field(
        0.8,
        description="Classes: the share of pairs in which both sides predict the same class, at "
        "least, unless labels show the accuracy.",
    )
    class_overlap: Share = Field(
        0.5,
        description="Of the pairs that the primary puts into a class, the share that the candidate "
        "puts there too, at least, for each class with `min_alarms`, unless labels show the "
        "accuracy.",
    )
    class_ratio: Ratio = Field(
        1.5,
        description="Candidate's rate of each class with `min_alarms`, relative to the primary's: "
        "1/x to x, unless labels show the accuracy.",
    )
    accuracy_loss: Share = Field(
        0.02, description="Accuracy that the candidate may lose, where labels are demanded."
    )
    class_recall_loss: Share = Field(
        0.10, description="Recall that it may lose of each class with `min_positives`."
    )
    ranking_overlap: Share = Field(
        0.5,
        description="Rankings: the share of items that both sides list, on average, at least, "
        "unless labels show the relevance.",
    )
    rank_biased_overlap: Share = Field(
        0.7,
        description="The same with the order, in which the first places count most: 1 for equal "
        "lists, about 0.65 for the same items in random order, 0.5 in reverse order.",
    )
    exposure_shift: Share = Field(
        0.1,
        description="Share of the listed items that belong to a declared group: the difference "
        "of the sides, at most.",
    )
    item_exposure: Share = Field(
        0.25,
        description="Share of lists that show an item, for each item: the candidate's minus the "
        "primary's, at most.",
    )
    ndcg_loss: Share = Field(
        0.02,
        description="Normalised discounted cumulative gain (nDCG) that the candidate may lose, "
        "where labels are demanded.",
    )
    empty_rankings: Share = Field(
        0.02,
        description="Share of rankings without any item: the candidate's minus the primary's, at "
        "most.",
    )
    text_length: Share = Field(
        0.25,
        description="Mean difference of the texts' lengths, as a part of the longer text, at most, "
        "unless preferences show that the candidate's are as good.",
    )
    text_rule: Share = Field(
        0.02,
        description="Share of texts that refuse, or lack a declared format: the candidate's minus "
        "the primary's, at most.",
    )
    label_coverage_gap: Share = Field(
        0.10,
        description="Largest relative difference of the labelled shares of both sides' answers, "
        "and of the cells of both alarms.",
    )
    unknown_labels: Share = Field(
        0.05,
        description="Share of labels that belong to no pair, at most; and, of classes, of labels "
        "whose class no side ever predicts.",
    )
