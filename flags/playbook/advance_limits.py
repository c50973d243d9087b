"""What must be shown before the next step."""

from datetime import timedelta

from pydantic import Field

from flags.playbook.part import Duration, Part, Ratio, Share


class AdvanceLimits(Part):
    """What must be shown before the next step: every interval within its limits."""

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
        description="Share of what was scored under SHADOW_MAX_SHARE that may lie at other times "
        "than the traffic, at most: busy hours weigh too little in it.",
    )
    shed_rate: Share = Field(0.01, description="Share of pairs with a side that was shed, at most.")
    silence: Share = Field(
        0.25, description="Share of the hold time without pairs just now, at most."
    )
    gap: Duration = Field(
        timedelta(hours=6), description="A longer time without pairs does not count as held."
    )
    alarm_ratio: Ratio = Field(
        1.10, description="Candidate's alarm rate relative to the primary's: 1/x to x."
    )
    min_alarms: int = Field(
        50, ge=0, description="Alarms of both sides together below which the ratio says nothing."
    )
    no_alarm_ratio: Ratio = Field(
        1.10,
        description="Candidate's rate without an alarm by the primary's, where alarms are the "
        "common side: 1/x to x.",
    )
    alarm_overlap: Share = Field(
        0.5,
        description="Of the primary's alarms, the share that the candidate raises too, at least, "
        "unless labels show recall. 0: not asked for.",
    )
    segment_alarm_overlap: Share = Field(
        0.25, description="The same within one segment with `segment_min_alarms`, at least."
    )
    distribution_ratio: Ratio = Field(
        1.25,
        description="Candidate's rate beyond quantiles of the primary's outputs by the primary's: "
        "1/x to x. By default where no threshold is known.",
    )
    rank_overlap: Share = Field(
        0.5,
        description="Of the primary's lowest and highest tenth of outputs, the share that the "
        "candidate has there too, at least; likewise. 0: not asked for.",
    )
    uncompared: Share = Field(
        0.01, description="Share of pairs in which a side decided nothing, at most."
    )
    segment_alarm_ratio: Ratio = Field(1.50, description="The same within one segment: 1/x to x.")
    segment_min_alarms: int = Field(
        100, ge=0, description="Segments with fewer alarms may fail, but need not pass."
    )
    failure_rate: Share = Field(
        0.002, description="Candidate's failure rate less the primary's, at most."
    )
    fallback_rate: Share = Field(
        0.01, description="Share of the candidate's requests that the primary answered, at most."
    )
    latency_p50: Ratio = Field(1.5, description="Candidate's median duration by the primary's.")
    latency_p95: Ratio = Field(1.5, description="The same at the 95th percentile.")
    latency_p99: Ratio = Field(2.0, description="The same at the 99th percentile.")
    fast_enough: Duration = Field(
        timedelta(milliseconds=5),
        description="A candidate's quantile below this passes whatever the ratio.",
    )
    min_positives: int = Field(
        100, ge=0, description="Positive labels below which quality does not pass."
    )
    recall_loss: Share = Field(
        0.05, description="Recall that the candidate may lose, where labels are demanded."
    )
    segment_recall_loss: Share = Field(0.10, description="The same within one segment.")
    average_precision_loss: Share = Field(
        0.02, description="Average precision that the candidate may lose, likewise."
    )
    win_rate: Share = Field(
        0.45,
        gt=0,
        description="Of the pairs whose texts differ, the share in which the candidate's is "
        "preferred, at least; a tie is half of one.",
    )
    segment_factor: Ratio = Field(
        2.0,
        description="Numbers, classes, rankings and texts within one segment: how many times as "
        "large a difference may be as over all; a share, at least, may be its limit to this power.",
    )
    judge_consistency: Share = Field(
        0.5,
        description="Of the pairs judged in both orders, the share in which the judge names the "
        "same winner, or twice none, at least.",
    )
    number_bias: float = Field(
        0.1,
        ge=0,
        description="Of numbers without a threshold, the mean difference in spreads of the "
        "primary's, at most, unless labels show the error.",
    )
    number_distance: float = Field(
        0.5, ge=0, description="The same without the sign: how far apart the sides are."
    )
    error_loss: float = Field(
        0.05,
        ge=0,
        description="Of numbers, by which part of the primary's mean error the candidate's may be "
        "larger (pinball loss of a quantile), likewise.",
    )
    gross_errors: Share = Field(
        0.002,
        description="Of numbers, the share of errors beyond ten times the primary's mean error: "
        "the candidate's less the primary's, at most.",
    )
    class_agreement: Share = Field(
        0.8,
        description="Of classes, the share of pairs in which both sides say the same, at least, "
        "unless labels show the accuracy.",
    )
    class_overlap: Share = Field(
        0.5,
        description="Of the pairs that the primary puts into a class, the share that the candidate "
        "puts there too, at least, of those with `min_alarms`, likewise.",
    )
    class_ratio: Ratio = Field(
        1.5,
        description="Candidate's rate of each class by the primary's, of those with `min_alarms`: "
        "1/x to x, likewise.",
    )
    accuracy_loss: Share = Field(
        0.02, description="Accuracy that the candidate may lose, where labels are demanded."
    )
    class_recall_loss: Share = Field(
        0.10, description="Recall of a class that it may lose, of those with `min_positives`."
    )
    ranking_overlap: Share = Field(
        0.5,
        description="Of rankings, the share of items that both sides list, on average, at least, "
        "unless labels show the relevance.",
    )
    rank_biased_overlap: Share = Field(
        0.7,
        description="The same with regard to the order, the first places counting most: 1 of equal "
        "lists, about 0.65 of the same items in a random order, 0.5 in the reverse one.",
    )
    exposure_shift: Share = Field(
        0.1,
        description="Share of the listed items that are of a declared group: the candidate's less "
        "the primary's, at most, either way.",
    )
    item_exposure: Share = Field(
        0.25,
        description="Of one item, the share of lists that show it: the candidate's less the "
        "primary's, at most.",
    )
    ndcg_loss: Share = Field(
        0.02,
        description="Normalised discounted cumulative gain (nDCG) that the candidate may lose, "
        "where labels are demanded.",
    )
    empty_rankings: Share = Field(
        0.02,
        description="Share of rankings without any item: the candidate's less the primary's, at "
        "most.",
    )
    text_length: Share = Field(
        0.25,
        description="By which part of the longer one the candidate's texts may be longer or "
        "shorter on average, unless preferences show that they are as good.",
    )
    text_rule: Share = Field(
        0.02,
        description="Share of texts that refuse, or lack a declared format: the candidate's less "
        "the primary's, at most.",
    )
    label_coverage_gap: Share = Field(
        0.10,
        description="By which part the labelled share may be smaller for one side's answers than "
        "for the other's, and differ between the cells of both alarms.",
    )
    unknown_labels: Share = Field(
        0.05, description="Share of labels that belong to no pair, at most."
    )
