// The operator's twin as kubebuilder would lay it out: controller-runtime, a reconciler a kind,
// cached reads, metadata-only caches of children, server-side apply, no client throttle. It makes
// the same children and writes the same statuses; it decides nothing that the operator decides.
package main

import (
	"context"
	"flag"
	"net"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func main() {
	path := flag.String("templates", "", "objects to make")
	concurrency := flag.Int("concurrency", 16, "reconciles at once, of one kind")
	ready := flag.String("ready", "", "address to listen on once every cache is synced")
	flag.Parse()
	ctrl.SetLogger(zap.New())
	if err := run(*path, *concurrency, *ready); err != nil {
		ctrl.Log.Error(err, "the twin ends")
		os.Exit(1)
	}
}

func run(path string, concurrency int, ready string) error {
	templates, err := load(path)
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	if err := addKinds(scheme); err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	config.QPS = -1
	ours, err := labels.Parse("app.kubernetes.io/managed-by=aios-operator")
	if err != nil {
		return err
	}
	byObject := map[client.Object]cache.ByObject{}
	for _, kind := range children() {
		byObject[kind] = cache.ByObject{Label: ours}
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  scheme,
		Metrics: metricsserver.Options{BindAddress: "0"},
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject:         byObject,
		},
	})
	if err != nil {
		return err
	}
	shared := Reconciler{Client: mgr.GetClient(), templates: templates}
	options := controller.Options{MaxConcurrentReconciles: concurrency}
	if err := setUp(mgr, shared, options); err != nil {
		return err
	}
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return nil
		}
		listener, err := net.Listen("tcp", ready)
		if err != nil {
			return err
		}
		<-ctx.Done()
		return listener.Close()
	}))
	if err != nil {
		return err
	}
	return mgr.Start(ctrl.SetupSignalHandler())
}

func setUp(mgr ctrl.Manager, shared Reconciler, options controller.Options) error {
	models := ctrl.NewControllerManagedBy(mgr).
		For(&ModelDeployment{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(options)
	for _, kind := range []client.Object{
		&corev1.ServiceAccount{}, &corev1.Secret{}, &corev1.Service{}, &appsv1.Deployment{},
	} {
		models = models.Owns(kind, builder.OnlyMetadata)
	}
	if err := models.Complete(&ModelReconciler{shared}); err != nil {
		return err
	}
	err := ctrl.NewControllerManagedBy(mgr).
		For(&WritingPipeline{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(options).
		Complete(&PipelineReconciler{shared})
	if err != nil {
		return err
	}
	toNamespace := handler.EnqueueRequestsFromMapFunc(
		func(_ context.Context, object client.Object) []reconcile.Request {
			return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: object.GetNamespace()}}}
		})
	changed := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	tenants := ctrl.NewControllerManagedBy(mgr).Named("tenant").
		Watches(&WritingPipeline{}, toNamespace, changed).
		Watches(&ModelDeployment{}, toNamespace, changed).
		WithOptions(options)
	shares := predicate.NewPredicateFuncs(func(object client.Object) bool {
		_, ofModel := object.GetLabels()["aios.dev/model"]
		return !ofModel
	})
	for _, kind := range children() {
		tenants = tenants.Watches(kind, toNamespace, builder.OnlyMetadata, builder.WithPredicates(shares))
	}
	return tenants.Complete(&TenantReconciler{shared})
}

// Every kind of child.
func children() []client.Object {
	return []client.Object{
		&corev1.ServiceAccount{}, &corev1.Secret{}, &corev1.ConfigMap{}, &corev1.Service{},
		&appsv1.Deployment{}, &appsv1.StatefulSet{},
		&rbacv1.Role{}, &rbacv1.RoleBinding{}, &networkingv1.NetworkPolicy{},
	}
}
