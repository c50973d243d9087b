"""The gate as a job of Spark: the cluster counts, the driver judges.

    spark-submit deploy/spark/gate.py 'spark://local?folder=s3://bucket/pairs' \
        --playbook playbook.yaml --json verdict.json

Arguments and exit code are those of `bentoml migration gate`. Master, executors and credentials are
those of `spark-submit`, whose session is used; the host in the URL is ignored. The driver needs
this package with the extras `comparison` and `spark`; executors need only Spark.
"""

from pyspark.sql import SparkSession

from comparison.cli.gate import gate

if __name__ == "__main__":
    SparkSession.builder.appName("bentoml migration gate").getOrCreate()
    gate()
