package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The annotation that tells whether a child already is as desired: the operator's.
const applied = "aios.dev/applied"

// Templates are the objects that the operator made, so that bodies are of the same size.
type Templates struct {
	Model  []json.RawMessage `json:"model"`
	Tenant []struct {
		Object        json.RawMessage `json:"object"`
		OwnedByModels bool            `json:"ownedByModels"`
	} `json:"tenant"`
	ModelStatus    json.RawMessage `json:"modelStatus"`
	PipelineStatus json.RawMessage `json:"pipelineStatus"`
}

func load(path string) (*Templates, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	templates := &Templates{}
	return templates, json.Unmarshal(text, templates)
}

// fill makes a child for one owner's names.
func fill(template json.RawMessage, namespace, model string) (*unstructured.Unstructured, error) {
	text := strings.NewReplacer("NAMESPACE", namespace, "MODEL", model).Replace(string(template))
	child := &unstructured.Unstructured{}
	return child, json.Unmarshal([]byte(text), &child.Object)
}

// stamp writes the digest of a child into it.
func stamp(child *unstructured.Unstructured) (string, error) {
	annotations := child.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	delete(annotations, applied)
	child.SetAnnotations(annotations)
	text, err := json.Marshal(child.Object)
	if err != nil {
		return "", err
	}
	hash := fnv.New128a()
	hash.Write(text)
	digest := fmt.Sprintf("sha256:%064x", hash.Sum(nil))
	annotations[applied] = digest
	child.SetAnnotations(annotations)
	return digest, nil
}

// statusOf makes the body of a status patch for one generation.
func statusOf(template json.RawMessage, namespace, model string, generation int64) ([]byte, error) {
	text := strings.NewReplacer("NAMESPACE", namespace, "MODEL", model).Replace(string(template))
	status := map[string]any{}
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		return nil, err
	}
	status["observedGeneration"] = generation
	if conditions, ok := status["conditions"].([]any); ok {
		for _, condition := range conditions {
			if fields, ok := condition.(map[string]any); ok {
				fields["observedGeneration"] = generation
				fields["lastTransitionTime"] = metav1.Now()
			}
		}
	}
	return json.Marshal(map[string]any{"status": status})
}
