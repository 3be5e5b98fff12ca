"""The part of scripts/check-deployment that reads YAML and JSON. Its argument is docker-compose.yml as docker-compose
config resolved it. Prints a line for each fault: file, place, what was expected; status 1 then."""

import glob
import json
import re
import sys

import kubernetes_validate
import yaml

VERSION = "1.34"
faults = []


def fault(place, expected):
    faults.append(f"{place}: expected {expected}")


def check_compose(path):
    """What docker-compose config doesn't ask: it accepts a service that anybody can reach, or one without bounds."""
    with open(path) as file:
        compose = yaml.safe_load(file)
    if compose is None:  # Refused, which has been said.
        return
    once = {"cockroach-certificates", "allocbench"}
    for name, service in compose["services"].items():
        place = f"docker-compose.yml, service {name}"
        image = service.get("image", "")
        if "build" not in service and not re.search(r":[^:/]*[0-9]+\.[0-9]+[^:/]*$", image):
            fault(place, f"an image with a version, not {image}")
        for key in ("mem_limit", "security_opt"):
            if key not in service:
                fault(place, f"a {key}")
        if name not in once | {"kafka-exporter", "worker"} and "healthcheck" not in service:
            fault(place, "a healthcheck")
        for port in service.get("ports", []):
            host = port if isinstance(port, str) else f"{port.get('host_ip', '')}:{port.get('published')}"
            if not host.startswith("127.0.0.1:"):
                fault(place, f"port {host} on 127.0.0.1 alone")
            if "edge" not in service["networks"]:
                fault(place, "the network edge where a port is published: the others are internal")
        for network in service.get("networks", {}):
            if network not in ("database", "broker", "edge"):
                fault(place, f"the networks database, broker or edge, not {network}")
    for name in ("database", "broker"):
        if not compose["networks"][name].get("internal"):
            fault(f"docker-compose.yml, network {name}", "internal: true")


def check_metrics():
    with open("deploy/compose/prometheus.yml") as file:
        jobs = {job["job_name"] for job in yaml.safe_load(file)["scrape_configs"]}
    if jobs != {"cockroachdb", "kafka", "prometheus"}:
        fault("deploy/compose/prometheus.yml", f"the jobs cockroachdb, kafka and prometheus, not {sorted(jobs)}")
    for path in glob.glob("deploy/compose/grafana/provisioning/*/*.yml"):
        with open(path) as file:
            yaml.safe_load(file)
    path = "deploy/compose/grafana/dashboards/allocbench.json"
    with open(path) as file:
        dashboard = json.load(file)
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            if target["datasource"]["uid"] != "prometheus" or not target["expr"]:
                fault(f"{path}, panel {panel['title']}", "an expression for the data source prometheus")


def check_kubernetes():
    paths = sorted(glob.glob("deploy/kubernetes/*.yaml"))
    with open("deploy/kubernetes/kustomization.yaml") as file:
        resources = set(yaml.safe_load(file)["resources"])
    files = {path.rsplit("/", 1)[1] for path in paths} - {"kustomization.yaml"}
    if resources != files:
        fault("deploy/kubernetes/kustomization.yaml", f"the resources {sorted(files)}, not {sorted(resources)}")
    for path in paths:
        if path.endswith("/kustomization.yaml"):
            continue
        with open(path) as file:
            documents = [document for document in yaml.safe_load_all(file) if document]
        for document in documents:
            place = f"{path}, {document.get('kind')} {document.get('metadata', {}).get('name')}"
            try:
                kubernetes_validate.validate(document, VERSION, strict=True)
            except kubernetes_validate.ValidationError as error:
                fault(f"{place}, {'.'.join(str(part) for part in error.path)}", f"what its schema allows: {error.message}")
            except kubernetes_validate.SchemaNotFoundError as error:
                fault(place, f"a kind of Kubernetes {VERSION}: {error.message}")
            check_pod(place, document)


def check_pod(place, document):
    """What a schema leaves open: who the containers run as, and with how much."""
    if document["kind"] == "Secret":
        fault(place, "no Secret in the repository; it is made in the cluster")
    pod = document.get("spec", {}).get("template", {}).get("spec")
    if pod is None:
        return
    if not pod.get("securityContext", {}).get("runAsNonRoot"):
        fault(place, "runAsNonRoot: true")
    for container in pod["containers"]:
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False or context.get("capabilities", {}).get("drop") != ["ALL"]:
            fault(f"{place}, container {container['name']}", "allowPrivilegeEscalation: false and capabilities dropped")
        resources = container.get("resources", {})
        if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
            fault(f"{place}, container {container['name']}", "requests of cpu and memory, and a limit of memory")


for check, argument in ((check_compose, sys.argv[1:]), (check_metrics, []), (check_kubernetes, [])):
    try:
        check(*argument)
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        fault(check.__name__.replace("check_", "deployment, "), f"files that can be read: {type(error).__name__}: {error}")
for line in faults:
    print(line, file=sys.stderr)
sys.exit(1 if faults else 0)
