// Judges an object on standard input by the success and the failure condition of a resource template, as
// the executor of Argo Workflows does: each is a label selector whose keys are paths into the object's JSON.
// The first failure that holds fails; all successes must hold.
package main

import (
	"fmt"
	"io"
	"log"
	"os"

	"github.com/tidwall/gjson"
	"k8s.io/apimachinery/pkg/labels"
)

type object []byte

func (o object) Has(path string) bool { return gjson.GetBytes(o, path).Exists() }

func (o object) Get(path string) string { return gjson.GetBytes(o, path).String() }

func (o object) Lookup(path string) (string, bool) { return o.Get(path), o.Has(path) }

func requirements(condition string) labels.Requirements {
	selector, err := labels.Parse(condition)
	if err != nil {
		log.Fatal(err)
	}
	found, _ := selector.Requirements()
	return found
}

func verdict(read object, success, failure labels.Requirements) string {
	for _, one := range failure {
		if one.Matches(read) {
			return "Failed"
		}
	}
	for _, one := range success {
		if !one.Matches(read) {
			return "Running"
		}
	}
	return "Succeeded"
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: argo-conditions SUCCESS FAILURE < OBJECT")
	}
	read, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(verdict(read, requirements(os.Args[1]), requirements(os.Args[2])))
}
