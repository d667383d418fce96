// kstatus says what tools that wait for objects make of them, Flux and Helm for example: it reads JSON objects from
// standard input, one after the other or in a List, and prints {kind, name, status, message} as a line of JSON for each.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type verdict struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := judgeAll(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func judgeAll(in io.Reader, out io.Writer) error {
	documents, verdicts := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var document json.RawMessage
		if err := documents.Decode(&document); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		// Not straight into a map: generations have to be whole numbers, and encoding/json makes them floats.
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(document); err != nil {
			return err
		}
		if err := judge(object, verdicts); err != nil {
			return err
		}
	}
}

func judge(object *unstructured.Unstructured, verdicts *json.Encoder) error {
	if object.IsList() {
		return object.EachListItem(func(item runtime.Object) error {
			return judge(item.(*unstructured.Unstructured), verdicts)
		})
	}
	result, err := status.Compute(object)
	if err != nil {
		return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return verdicts.Encode(verdict{object.GetKind(), object.GetName(), result.Status.String(), result.Message})
}
