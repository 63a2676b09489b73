"""What an object names is there, and what belongs together fits together."""

from collections.abc import Iterator
from typing import Any

import pytest

from shared_utils.transports.kafka import topics
from tests.deploy.rendered import Rendered, labels, pod, selects

OURS = ("orchestrator", "gateway", "worker", "job", "triton")


def _ours(rendered: Rendered) -> Iterator[Any]:
    return (each for each in rendered.workloads() if labels(each)["app.kubernetes.io/component"] in OURS)


def test_claims_settings_secrets_and_accounts_are_there(rendered: Rendered) -> None:
    for workload in rendered.workloads():
        said, own = pod(workload), workload["spec"].get("volumeClaimTemplates", [])
        assert said["serviceAccountName"] in rendered.names("ServiceAccount")
        claimed = [each["persistentVolumeClaim"] for each in said.get("volumes", []) if "persistentVolumeClaim" in each]
        assert {each["claimName"] for each in claimed} <= rendered.names("PersistentVolumeClaim")
        volumes = {each["name"] for each in said.get("volumes", [])} | {each["metadata"]["name"] for each in own}
        for container in said["containers"]:
            mounted = {each["name"] for each in container.get("volumeMounts", [])}
            assert mounted == volumes, workload["metadata"]["name"]
            for source in container.get("envFrom", []):
                if "configMapRef" in source:
                    assert source["configMapRef"]["name"] in rendered.names("ConfigMap")
                else:
                    wanted = source["secretRef"]
                    assert wanted.get("optional") or wanted["name"] in rendered.names("Secret")


def test_who_selects_finds_its_own_pods_and_no_others(rendered: Rendered) -> None:
    for workload in rendered.of("Deployment", "StatefulSet"):
        found = [each for each in rendered.workloads() if selects(workload["spec"]["selector"], labels(each))]
        assert found == [workload]
    for thing in rendered.of("Service", "PodDisruptionBudget"):
        selector = thing["spec"]["selector"]
        found = [
            each["metadata"]["name"]
            for each in rendered.workloads()
            if selects(selector if "matchLabels" in selector else {"matchLabels": selector}, labels(each))
        ]
        assert found == [thing["metadata"]["name"]], thing["kind"]


def test_services_lead_to_ports_that_there_are(rendered: Rendered) -> None:
    for service in rendered.of("Service"):
        (workload,) = [each for each in rendered.workloads() if each["metadata"]["name"] == service["metadata"]["name"]]
        ports = {port["name"]: port["containerPort"] for port in pod(workload)["containers"][0]["ports"]}
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]


def test_each_deployment_has_a_service_and_a_budget_that_lets_a_node_be_drained(rendered: Rendered) -> None:
    for workload in rendered.of("Deployment"):
        name = workload["metadata"]["name"]
        assert rendered.named("Service", name)
        budget = rendered.named("PodDisruptionBudget", name)
        assert budget is not None
        assert budget["spec"]["maxUnavailable"] == 1


def test_nobody_may_more_than_it_needs(rendered: Rendered) -> None:
    for account in rendered.of("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    for workload in rendered.workloads():
        said = pod(workload)
        assert said["automountServiceAccountToken"] is False
        assert said["securityContext"]["runAsNonRoot"] is True
        assert said["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in said["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    for workload in _ours(rendered):
        said = pod(workload)
        assert said["securityContext"]["runAsUser"] == said["securityContext"]["runAsGroup"] == 10001
        for container in said["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert "/tmp" in {each["mountPath"] for each in container["volumeMounts"]}  # noqa: S108


def test_workers_read_models_and_write_data_and_have_shared_memory(rendered: Rendered) -> None:
    for workload in rendered.of("Deployment"):
        if labels(workload)["app.kubernetes.io/component"] not in ("worker", "triton"):
            continue
        volumes = {each["name"]: each for each in pod(workload)["volumes"]}
        mounts = {each["mountPath"]: each for each in pod(workload)["containers"][0]["volumeMounts"]}
        assert mounts["/models"]["readOnly"] is True
        assert volumes["models"]["persistentVolumeClaim"] == {"claimName": "vtryon-models", "readOnly": True}
        assert not mounts["/data"].get("readOnly")
        assert volumes[mounts["/dev/shm"]["name"]]["emptyDir"]["medium"] == "Memory"  # noqa: S108


def test_who_has_a_gpu_asks_for_it_and_never_waits_for_a_second(rendered: Rendered) -> None:
    for workload in rendered.of("Deployment"):
        resources = pod(workload)["containers"][0]["resources"]
        gpus = resources["limits"].get("nvidia.com/gpu")
        assert gpus == resources["requests"].get("nvidia.com/gpu")
        device = {each["name"]: each.get("value") for each in pod(workload)["containers"][0].get("env", [])}
        assert device.get("COMFYUI_DEVICE", "cpu") == ("0" if gpus else "cpu")
        if gpus:
            assert workload["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
            assert any(each["key"] == "nvidia.com/gpu" for each in pod(workload)["tolerations"])


def test_a_rollout_has_not_failed_while_models_load(rendered: Rendered) -> None:
    for workload in rendered.of("Deployment"):
        probe = pod(workload)["containers"][0]["startupProbe"]
        deadline = workload["spec"].get("progressDeadlineSeconds", 600)
        assert probe["periodSeconds"] * probe["failureThreshold"] < deadline
        if labels(workload)["app.kubernetes.io/component"] in ("worker", "triton"):
            assert probe["periodSeconds"] * probe["failureThreshold"] >= 1800


def test_who_has_gpus_where(renders: dict[str, Rendered]) -> None:
    def with_gpu(name: str) -> set[str]:
        return {
            each["metadata"]["name"]
            for each in renders[name].of("Deployment")
            if "nvidia.com/gpu" in pod(each)["containers"][0]["resources"]["limits"]
        }

    stages = {name.replace("_", "-") for name in topics.STAGES}
    assert with_gpu("demo") == set()
    assert with_gpu("single-gpu") == {"worker"}
    assert with_gpu("cluster") == with_gpu("elsewhere") == stages
    assert with_gpu("hybrid") == with_gpu("many") == {"triton"}


def test_claims_can_be_shared_between_nodes_where_there_are_several(renders: dict[str, Rendered]) -> None:
    for name, rendered in renders.items():
        modes = {mode for each in rendered.of("PersistentVolumeClaim") for mode in each["spec"]["accessModes"]}
        assert modes == ({"ReadWriteOnce"} if name == "demo" else {"ReadWriteMany"})


def test_jobs_can_be_applied_again(rendered: Rendered) -> None:
    """Done, they go away; what they do finds what is there already."""
    for job in rendered.of("Job"):
        assert job["spec"]["ttlSecondsAfterFinished"] <= 600
        assert pod(job)["restartPolicy"] == "OnFailure"
    assert rendered.names("Job") | {"topics"} == {"topics", "models"}


def test_how_many_there_are_is_said_by_one(rendered: Rendered) -> None:
    """A number in a manifest would be set back by each apply; and two that scale would fight."""
    scaled = [each["spec"]["scaleTargetRef"]["name"] for each in rendered.of("ScaledObject", "HorizontalPodAutoscaler")]
    assert len(scaled) == len(set(scaled))
    for workload in rendered.of("Deployment"):
        assert ("replicas" in workload["spec"]) is (workload["metadata"]["name"] not in scaled)


def _partitions(rendered: Rendered) -> int:
    """As many as the topics are made with."""
    made = rendered.named("Job", "topics")
    if made is None:
        (number,) = {each["spec"]["partitions"] for each in rendered.of("KafkaTopic")}
        return int(number)
    arguments = pod(made)["containers"][0]["args"]
    return int(arguments[arguments.index("--partitions") + 1])


def test_there_are_partitions_for_the_most_workers(rendered: Rendered) -> None:
    for scaled in rendered.of("ScaledObject"):
        assert scaled["spec"]["maxReplicaCount"] <= _partitions(rendered)
    for scaled in rendered.of("HorizontalPodAutoscaler"):
        assert scaled["spec"]["maxReplicas"] <= _partitions(rendered)
    for workload in rendered.of("Deployment"):
        assert workload["spec"].get("replicas", 1) <= _partitions(rendered)


def test_scaled_objects_read_the_right_group_and_wake_from_zero(renders: dict[str, Rendered]) -> None:
    found = {each["metadata"]["name"]: each for each in renders["cluster"].of("ScaledObject")}
    assert set(found) == {name.replace("_", "-") for name in topics.STAGES}
    for stage in topics.STAGES:
        spec = found[stage.replace("_", "-")]["spec"]
        (trigger,) = spec["triggers"]
        said = trigger["metadata"]
        assert (said["topic"], said["consumerGroup"]) == (topics.request_topic(stage), topics.group(stage))
        assert spec["minReplicaCount"] == 0
        assert said["scaleToZeroOnInvalidOffset"] == "false"
        assert said["offsetResetPolicy"] == "earliest"
        assert said["activationLagThreshold"] == "0"
        assert int(said["lagThreshold"]) < 10
        # It would take a queue whose first job is long for an empty one.
        assert "excludePersistentLag" not in said
        target = renders["cluster"].named("Deployment", spec["scaleTargetRef"]["name"])
        assert target is not None
        (container,) = pod(target)["containers"]
        assert spec["scaleTargetRef"]["envSourceContainerName"] == container["name"]


@pytest.mark.parametrize("name", ["cluster", "many"])
def test_strimzi_makes_the_topics_of_the_product(renders: dict[str, Rendered], name: str) -> None:
    made = {each["metadata"]["name"]: each["spec"].get("config", {}) for each in renders[name].of("KafkaTopic")}
    assert made == {topic.name: topic.config for topic in topics.TOPICS}


def test_the_address_of_kafka_is_that_of_the_kafka_that_is_there(rendered: Rendered) -> None:
    settings = rendered.named("ConfigMap", "vtryon")
    assert settings is not None
    host, _, port = settings["data"]["KAFKA_BOOTSTRAP_SERVERS"].rpartition(":")
    if cluster := next(rendered.of("Kafka"), None):
        (listener,) = cluster["spec"]["kafka"]["listeners"]
        assert (host, port) == (f"{cluster['metadata']['name']}-kafka-bootstrap.vtryon.svc", str(listener["port"]))
        members = [each["metadata"]["labels"] for each in rendered.of("KafkaTopic", "KafkaNodePool")]
        assert {each["strimzi.io/cluster"] for each in members} == {cluster["metadata"]["name"]}
    elif broker := rendered.named("StatefulSet", "kafka"):
        said = {each["name"]: each["value"] for each in pod(broker)["containers"][0]["env"]}
        assert said["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{host}:{port}"
        assert host == f"{broker['spec']['serviceName']}.vtryon.svc"
        assert rendered.named("Service", broker["spec"]["serviceName"])
