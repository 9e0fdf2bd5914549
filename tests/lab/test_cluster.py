"""The cluster floor: pods really run, images really load, nodes really die and boot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import images
from lab.cluster import Cluster
from lab.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.cluster]

# asks the API by the ClusterIP with its own token, opens a raw socket, then is ready
SPEAKER = """
import http.server, json, os, socket, ssl, urllib.request
d = "/var/run/secrets/kubernetes.io/serviceaccount/"
a = "https://%s:%s/api/v1/nodes" % (
    os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"])
r = urllib.request.Request(a, headers={"Authorization": "Bearer " + open(d + "token").read()})
c = ssl.create_default_context(cafile=d + "ca.crt")
nodes = [n["metadata"]["name"] for n in json.load(urllib.request.urlopen(r, context=c))["items"]]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
s.bind(("eth0", 0))
try:
    open("/x", "w")
    root = "writable"
except OSError:
    root = "read-only"
caps = [l.split()[1] for l in open("/proc/self/status") if l.startswith("CapEff")]
print(json.dumps({"nodes": nodes, "root": root, "caps": caps, "host": os.uname().nodename}))
h = http.server.SimpleHTTPRequestHandler
http.server.ThreadingHTTPServer(("0.0.0.0", 7472), h).serve_forever()
"""

PROBE = {"httpGet": {"path": "/etc/passwd", "port": 7472}, "periodSeconds": 1}


def speaker() -> list[dict[str, object]]:
    """A DaemonSet with a speaker's rights, its account and role."""
    container = {
        "name": "speaker",
        "image": images.PYTHON,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-u", "-c", SPEAKER],
        "readinessProbe": PROBE,
        "livenessProbe": PROBE,
        "securityContext": {
            "capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]},
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "runAsUser": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    pod = {
        "hostNetwork": True,
        "serviceAccountName": "speaker",
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }
    rbac = "rbac.authorization.k8s.io"
    reader = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]}
    subject = {"kind": "ServiceAccount", "name": "speaker", "namespace": "default"}
    named = {"metadata": {"name": "speaker"}}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", **named},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", **named, "rules": [reader]},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            **named,
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "speaker"},
            "subjects": [subject],
        },
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            **named,
            "spec": {
                "selector": {"matchLabels": {"app": "speaker"}},
                "template": {"metadata": {"labels": {"app": "speaker"}}, "spec": pod},
            },
        },
    ]


@pytest.fixture(scope="module")
def speakers(cluster: Cluster) -> Cluster:
    """The cluster with speakers on every node."""
    for found in speaker():
        cluster.apply(found)
    cluster.kubectl("rollout", "status", "ds/speaker", "--timeout=60s")
    return cluster


def test_pods_run_with_their_rights_and_no_more(speakers: Cluster) -> None:
    lines = speakers.kubectl("logs", "-l", "app=speaker", "--prefix=false").stdout.splitlines()
    said = [json.loads(line) for line in lines if line.startswith("{")]
    assert sorted(one["host"] for one in said) == ["n1", "n2", "n3"]
    for one in said:
        assert one["nodes"] == ["n1", "n2", "n3"]
        assert one["root"] == "read-only"
        assert one["caps"] == ["0000000000002000"]


def test_a_service_of_type_node_port_reaches_pods_from_a_client(cluster: Cluster) -> None:
    cluster.apply(WEB)
    cluster.kubectl("rollout", "status", "deploy/web", "--timeout=60s")
    seen = set()

    def both() -> bool:
        done = cluster.client().run(
            ["python3", "-c", FETCH, cluster.node("n3").address], check=False
        )
        seen.add(done.stdout.strip())
        return len(seen - {""}) == 2

    until(both, "answers from both pods", 20)
    assert all(name.startswith("web-") for name in seen - {""})


FETCH = """
import sys, urllib.request
print(urllib.request.urlopen(f"http://{sys.argv[1]}:30080/name", timeout=1).read().decode())
"""

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: lab.local/py:1
        imagePullPolicy: IfNotPresent
        command: [sh, -c, 'hostname > /srv/name; exec python3 -m http.server 8080 -d /srv']
        readinessProbe: {httpGet: {path: /name, port: 8080}, periodSeconds: 1}
        volumeMounts: [{name: srv, mountPath: /srv}]
      volumes: [{name: srv, emptyDir: {}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
"""


def test_an_image_of_our_own_is_loaded_on_every_node(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "tree/srv").mkdir(parents=True)
    (tmp_path / "tree/srv/word").write_text("of our own\n")
    trees = [images.python_root(), tmp_path / "tree"]
    tar = images.write(
        tmp_path / "own.tar", "lab.local/own:1", trees, {"Cmd": ["cat", "/srv/word"]}
    )
    cluster.load_image(tar)
    for name in cluster.node_names:
        pod = {
            "nodeName": name,
            "restartPolicy": "Never",
            "containers": [{"name": "c", "image": "lab.local/own:1"}],
        }
        meta = {"name": f"own-{name}"}
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod})
        phase = "--for=jsonpath={.status.phase}=Succeeded"
        cluster.kubectl("wait", phase, f"pod/own-{name}", "--timeout=30s")
        assert cluster.kubectl("logs", f"own-{name}").stdout == "of our own\n"


def test_a_node_dies_at_once_is_noticed_and_boots_again(speakers: Cluster) -> None:
    node = speakers.node("n2")
    assert "containerd" in node.run(["ps", "ax"]).stdout
    speakers.kill_node("n2")
    assert node.pids() == []
    speakers.wait_node_not_ready("n2", 20)
    speakers.boot_node("n2")
    speakers.kubectl("rollout", "status", "ds/speaker", "--timeout=60s")
    listed = node.run([speakers.binaries / "ctr", "-n", "k8s.io", "images", "ls", "-q"])
    assert images.PYTHON in listed.stdout
