"""A DAG that starts a run and waits for it, without a slot of a worker meanwhile."""

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

RUNS = {"group": "aios.dev", "version": "v1alpha1", "plural": "writingruns", "namespace": "writing"}


@task
def start(deadline: str) -> str:
    run = {
        "apiVersion": "aios.dev/v1alpha1",
        "kind": "WritingRun",
        "metadata": {"generateName": "monday-"},
        "spec": {
            "pipelineRef": {"name": "welcome"},
            "input": {"upload": {"context": "customer"}},
            "deadline": deadline,
            "ttlSecondsAfterFinished": 86400,
        },
    }
    made = KubernetesHook().custom_object_client.create_namespaced_custom_object(**RUNS, body=run)
    return made["metadata"]["name"]


@task.sensor(poke_interval=15, timeout=2 * 3600, mode="reschedule")
def written(name: str) -> bool:
    run = KubernetesHook().custom_object_client.get_namespaced_custom_object(**RUNS, name=name)
    outcome = run.get("status", {}).get("outcome")
    if outcome == "Failed":
        raise AirflowFailException(run["status"]["conditions"])
    return outcome == "Succeeded"


@dag(schedule="0 9 * * MON-FRI", catchup=False)
def mornings():
    written(start("{{ data_interval_end.add(hours=2).strftime('%Y-%m-%dT%H:%M:%SZ') }}"))


mornings()
