"""The gate as a job of Spark: the cluster counts, the driver judges.

    spark-submit deploy/spark/gate.py 'spark://local?folder=s3://bucket/pairs' \
        --playbook playbook.yaml --json verdict.json

The arguments are those of `bentoml migration gate`, and so is the exit code. The master, the
executors and the credentials are those of `spark-submit`: its session is taken as it is, and the
host of the URL does not count. The driver needs this package with the extras `comparison` and
`spark`; executors need nothing but Spark.
"""

from pyspark.sql import SparkSession

from comparison.cli.gate import gate

if __name__ == "__main__":
    SparkSession.builder.appName("bentoml migration gate").getOrCreate()
    gate()
