package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var groupVersion = schema.GroupVersion{Group: "aios.dev", Version: "v1alpha1"}

// Status is the part that the twin reads; what it writes comes from a template.
type Status struct {
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// ModelDeployment keeps its spec as bytes: smaller in a cache than any map.
type ModelDeployment struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              runtime.RawExtension `json:"spec,omitempty"`
	Status            Status               `json:"status,omitempty"`
}

type ModelDeploymentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ModelDeployment `json:"items"`
}

type WritingPipeline struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              runtime.RawExtension `json:"spec,omitempty"`
	Status            Status               `json:"status,omitempty"`
}

type WritingPipelineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []WritingPipeline `json:"items"`
}

func (in *ModelDeployment) DeepCopyObject() runtime.Object {
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	in.Spec.DeepCopyInto(&out.Spec)
	return &out
}

func (in *WritingPipeline) DeepCopyObject() runtime.Object {
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	in.Spec.DeepCopyInto(&out.Spec)
	return &out
}

func (in *ModelDeploymentList) DeepCopyObject() runtime.Object {
	out := ModelDeploymentList{TypeMeta: in.TypeMeta}
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range in.Items {
		out.Items = append(out.Items, *in.Items[i].DeepCopyObject().(*ModelDeployment))
	}
	return &out
}

func (in *WritingPipelineList) DeepCopyObject() runtime.Object {
	out := WritingPipelineList{TypeMeta: in.TypeMeta}
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range in.Items {
		out.Items = append(out.Items, *in.Items[i].DeepCopyObject().(*WritingPipeline))
	}
	return &out
}

func addKinds(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(groupVersion,
		&ModelDeployment{}, &ModelDeploymentList{}, &WritingPipeline{}, &WritingPipelineList{})
	metav1.AddToGroupVersion(scheme, groupVersion)
	return nil
}
