# service.py
from flags import migrate
from models import FraudV1, FraudV2  # your two BentoML services, with the same API

FraudDetector = migrate(
    primary=FraudV1,
    candidate=FraudV2,
    flag="fraud-detector-v2",
    score="fraud_probability",  # where the compared number is in an answer
    threshold=0.54,  # from which score on it is an alarm
)
