"""What a person would look at first when a test on the node has failed."""

from collections.abc import Iterator

from tests.support.kubenode import KubeNode

LINES = 40


def account(node: KubeNode) -> Iterator[tuple[str, str]]:
    """Titles and texts; what cannot be asked says why."""
    yield "pods", told(node, "get", "pods", "--all-namespaces", "--output=wide")
    yield "events", told(node, "get", "events", "--all-namespaces", "--sort-by=.lastTimestamp")
    for line in told(node, "get", "pods", "--all-namespaces", "--no-headers").splitlines():
        if len(line.split()) > 3:
            namespace, pod, *_ = line.split()
            yield f"{namespace}/{pod}", told(node, "describe", "pod", pod, "--namespace", namespace)
            logs = ("logs", pod, "--namespace", namespace, "--all-containers", f"--tail={LINES}", "--prefix")
            yield f"log of {namespace}/{pod}", told(node, *logs)
            yield f"log of {namespace}/{pod} before", told(node, *logs, "--previous")
    yield from node.last_words()


def told(node: KubeNode, *args: str) -> str:
    done = node.kubectl("--request-timeout=10s", *args, check=False)
    return done.stdout + done.stderr
