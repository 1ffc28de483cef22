package main

import (
	"context"
	"fmt"
	"sort"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const fieldOwner = client.FieldOwner("twin")

// Reconciler is what the three share.
type Reconciler struct {
	client.Client
	templates *Templates
}

// ensure applies a child unless the cache shows it as it is desired.
func (r *Reconciler) ensure(ctx context.Context, child *unstructured.Unstructured) error {
	digest, err := stamp(child)
	if err != nil {
		return err
	}
	live := &metav1.PartialObjectMetadata{}
	live.SetGroupVersionKind(child.GroupVersionKind())
	err = r.Get(ctx, client.ObjectKeyFromObject(child), live)
	if err == nil && live.GetAnnotations()[applied] == digest {
		return nil
	}
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	return r.Apply(ctx, client.ApplyConfigurationFromUnstructured(child), client.ForceOwnership, fieldOwner)
}

func owner(kind string, object client.Object, controller bool) metav1.OwnerReference {
	reference := metav1.OwnerReference{
		APIVersion: groupVersion.String(), Kind: kind, Name: object.GetName(), UID: object.GetUID(),
	}
	if controller {
		reference.Controller = &controller
	}
	return reference
}

func (r *Reconciler) observed(ctx context.Context, object client.Object, body []byte) error {
	return client.IgnoreNotFound(
		r.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, body), fieldOwner))
}

type ModelReconciler struct{ Reconciler }

func (r *ModelReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	model := &ModelDeployment{}
	if err := r.Get(ctx, request.NamespacedName, model); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	for _, template := range r.templates.Model {
		child, err := fill(template, model.Namespace, model.Name)
		if err != nil {
			return ctrl.Result{}, err
		}
		child.SetOwnerReferences([]metav1.OwnerReference{owner("ModelDeployment", model, true)})
		if err := r.ensure(ctx, child); err != nil {
			return ctrl.Result{}, err
		}
	}
	if model.Status.ObservedGeneration == model.Generation {
		return ctrl.Result{}, nil
	}
	body, err := statusOf(r.templates.ModelStatus, model.Namespace, model.Name, model.Generation)
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.observed(ctx, model, body)
}

type PipelineReconciler struct{ Reconciler }

func (r *PipelineReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	pipeline := &WritingPipeline{}
	if err := r.Get(ctx, request.NamespacedName, pipeline); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if pipeline.Status.ObservedGeneration == pipeline.Generation {
		return ctrl.Result{}, nil
	}
	model := strings.Replace(pipeline.Name, "pipeline", "model", 1)
	body, err := statusOf(r.templates.PipelineStatus, pipeline.Namespace, model, pipeline.Generation)
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.observed(ctx, pipeline, body)
}

// TenantReconciler makes what the pipelines and models of a namespace share.
type TenantReconciler struct{ Reconciler }

func (r *TenantReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	namespace := request.Name
	pipelines, models := &WritingPipelineList{}, &ModelDeploymentList{}
	if err := r.List(ctx, pipelines, client.InNamespace(namespace)); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.List(ctx, models, client.InNamespace(namespace)); err != nil {
		return ctrl.Result{}, err
	}
	var ofPipelines, ofModels []metav1.OwnerReference
	var generations []string
	for i := range pipelines.Items {
		item := &pipelines.Items[i]
		ofPipelines = append(ofPipelines, owner("WritingPipeline", item, false))
		generations = append(generations, fmt.Sprintf("%s:%d", item.Name, item.Generation))
	}
	for i := range models.Items {
		item := &models.Items[i]
		ofModels = append(ofModels, owner("ModelDeployment", item, false))
		generations = append(generations, fmt.Sprintf("%s:%d", item.Name, item.Generation))
	}
	if len(ofPipelines) == 0 {
		return ctrl.Result{}, nil
	}
	sort.Slice(ofPipelines, func(i, j int) bool { return ofPipelines[i].Name < ofPipelines[j].Name })
	sort.Slice(ofModels, func(i, j int) bool { return ofModels[i].Name < ofModels[j].Name })
	sort.Strings(generations)
	for _, template := range r.templates.Tenant {
		child, err := fill(template.Object, namespace, "model")
		if err != nil {
			return ctrl.Result{}, err
		}
		owners := append([]metav1.OwnerReference{}, ofPipelines...)
		if template.OwnedByModels {
			owners = append(owners, ofModels...)
		}
		child.SetOwnerReferences(owners)
		// The operator's configuration to start with changes with every spec of the namespace.
		if child.GetName() == "aios-config" {
			text := strings.Join(generations, ",")
			if err := unstructured.SetNestedField(child.Object, text, "data", "generations"); err != nil {
				return ctrl.Result{}, err
			}
		}
		if err := r.ensure(ctx, child); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, nil
}
