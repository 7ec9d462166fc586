package manifests

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const kubernetes = "../../../deploy/kubernetes"

// build renders a kustomization as `kubectl kustomize` does, and decodes every object of it strictly: a key that the
// API does not know is an error.
func build(t *testing.T, dir string) []runtime.Object {
	t.Helper()
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(kubernetes, dir))
	if err != nil {
		t.Fatal(err)
	}
	var objects []runtime.Object
	for _, r := range rendered.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		object, err := decode(text)
		if err != nil {
			t.Fatalf("%s %s: %v", r.GetKind(), r.GetName(), err)
		}
		objects = append(objects, object)
	}
	return objects
}

func decode(text []byte) (runtime.Object, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	object, _, err := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer().Decode(text, nil, nil)
	return object, err
}

// only is the one object of a type.
func only[T runtime.Object](t *testing.T, objects []runtime.Object) T {
	t.Helper()
	var found []T
	for _, o := range objects {
		if typed, ok := o.(T); ok {
			found = append(found, typed)
		}
	}
	if len(found) != 1 {
		t.Fatalf("got %d objects of type %T, want 1", len(found), *new(T))
	}
	return found[0]
}

func TestStrict(t *testing.T) {
	const text = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: { name: x }\nspec: { %s: 1 }\n"
	if _, err := decode(fmt.Appendf(nil, text, "replicas")); err != nil {
		t.Error(err)
	}
	if _, err := decode(fmt.Appendf(nil, text, "replica")); err == nil {
		t.Error("a misspelt key is not noticed")
	}
}

func TestBase(t *testing.T) {
	var got []string
	for _, o := range build(t, "base") {
		a, err := meta.Accessor(o)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %s/%s", o.GetObjectKind().GroupVersionKind().Kind, a.GetNamespace(), a.GetName()))
	}
	slices.Sort(got)
	want := []string{"Namespace /dirsync", "NetworkPolicy dirsync/dirsync", "Service dirsync/dirsync", "ServiceAccount dirsync/dirsync", "StatefulSet dirsync/dirsync"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestOverlays holds what an administrator applies to what the parts promise one another.
func TestOverlays(t *testing.T) {
	overlays, err := filepath.Glob(filepath.Join(kubernetes, "overlays", "*"))
	if err != nil || len(overlays) == 0 {
		t.Fatalf("got %q, %v", overlays, err)
	}
	for _, dir := range overlays {
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			objects := build(t, "overlays/"+name)
			set := only[*appsv1.StatefulSet](t, objects)
			pod := set.Spec.Template
			t.Run("restricted", func(t *testing.T) { restricted(t, only[*corev1.Namespace](t, objects), pod) })
			t.Run("one pod", func(t *testing.T) { onePod(t, set, only[*corev1.Service](t, objects)) })
			t.Run("network", func(t *testing.T) { network(t, only[*networkingv1.NetworkPolicy](t, objects), pod) })
			t.Run("configuration", func(t *testing.T) { configuration(t, only[*corev1.ConfigMap](t, objects), pod) })
		})
	}
}

// restricted asks the admission controller of Kubernetes itself, at the level that the namespace demands.
func restricted(t *testing.T, namespace *corev1.Namespace, pod corev1.PodTemplateSpec) {
	t.Helper()
	if got := namespace.Labels[api.EnforceLevelLabel]; got != string(api.LevelRestricted) {
		t.Errorf("the namespace enforces %q, want restricted", got)
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, r := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
		if !r.Allowed {
			t.Errorf("the pod is refused: %s (%s)", r.ForbiddenReason, r.ForbiddenDetail)
		}
	}
	root := pod.Spec.DeepCopy()
	root.Containers[0].SecurityContext.AllowPrivilegeEscalation = new(bool)
	*root.Containers[0].SecurityContext.AllowPrivilegeEscalation = true
	if policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, root)).Allowed {
		t.Error("the rules allow anything")
	}
	c := pod.Spec.Containers[0]
	if c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
		t.Error("the root file system can be written to")
	}
	if pod.Spec.AutomountServiceAccountToken == nil || *pod.Spec.AutomountServiceAccountToken {
		t.Error("the pod gets a token of Kubernetes, which it does not need")
	}
}

// onePod holds the set to one pod with one volume that outlives it, and everything to the names that others use.
func onePod(t *testing.T, set *appsv1.StatefulSet, service *corev1.Service) {
	t.Helper()
	if set.Spec.Replicas == nil || *set.Spec.Replicas != 1 {
		t.Errorf("got %v replicas, want 1", set.Spec.Replicas)
	}
	keep := appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
		WhenScaled: appsv1.RetainPersistentVolumeClaimRetentionPolicyType}
	if p := set.Spec.PersistentVolumeClaimRetentionPolicy; p == nil || *p != keep {
		t.Errorf("got %v, want that the volume is kept", p)
	}
	if set.Spec.ServiceName != service.Name || service.Spec.ClusterIP != corev1.ClusterIPNone {
		t.Errorf("the set belongs to %q; the service is %q at %q, want headless", set.Spec.ServiceName, service.Name, service.Spec.ClusterIP)
	}
	labels := set.Spec.Template.Labels
	for what, selector := range map[string]map[string]string{"set": set.Spec.Selector.MatchLabels, "service": service.Spec.Selector} {
		if len(selector) == 0 {
			t.Errorf("the %s selects everything", what)
		}
		for k, v := range selector {
			if labels[k] != v {
				t.Errorf("the %s selects %s=%s, the pod has %q", what, k, v, labels[k])
			}
		}
	}
	c := set.Spec.Template.Spec.Containers[0]
	if !strings.Contains(c.Image, "/") || strings.HasSuffix(c.Image, ":latest") {
		t.Errorf("the image is %s, want a certain one", c.Image)
	}
	for what, probe := range map[string]*corev1.Probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != what || probe.HTTPGet.Port.String() != c.Ports[0].Name {
			t.Errorf("got the probe %v, want %s at the port %s", probe, what, c.Ports[0].Name)
		}
	}
	if s := c.StartupProbe; s == nil || s.PeriodSeconds*s.FailureThreshold < 300 {
		t.Errorf("got the probe %v, want five minutes for a large store", s)
	}
	if request, limit := c.Resources.Requests.Memory(), c.Resources.Limits.Memory(); request.IsZero() || limit.Cmp(*request) <= 0 {
		t.Errorf("got %s of memory, at most %s", request, limit)
	}
	mounted := map[string]bool{}
	for _, v := range set.Spec.Template.Spec.Volumes {
		mounted[v.Name] = true
	}
	for _, v := range set.Spec.VolumeClaimTemplates {
		mounted[v.Name] = true
	}
	for _, m := range c.VolumeMounts {
		if !mounted[m.Name] {
			t.Errorf("%s is mounted at %s, and there is no such volume", m.Name, m.MountPath)
		}
	}
}

// network says that names and HTTPS go out, and nothing else, and that the port that may be asked exists.
func network(t *testing.T, p *networkingv1.NetworkPolicy, pod corev1.PodTemplateSpec) {
	t.Helper()
	var got []string
	for _, rule := range p.Spec.Egress {
		for _, port := range rule.Ports {
			got = append(got, fmt.Sprintf("%s %s", *port.Protocol, port.Port))
		}
	}
	if want := []string{"UDP 53", "TCP 53", "TCP 443"}; !slices.Equal(got, want) {
		t.Errorf("got %q out, want %q", got, want)
	}
	if len(p.Spec.PolicyTypes) != 2 {
		t.Errorf("got a policy for %v, want both ways", p.Spec.PolicyTypes)
	}
	for k, v := range p.Spec.PodSelector.MatchLabels {
		if pod.Labels[k] != v {
			t.Errorf("the policy is for %s=%s, the pod has %q", k, v, pod.Labels[k])
		}
	}
	if port := p.Spec.Ingress[0].Ports[0].Port.String(); port != pod.Spec.Containers[0].Ports[0].Name {
		t.Errorf("got %s in, which no container has", port)
	}
}

// configuration says that the file is where the program looks, serves at the probes' port, keeps its store on the
// volume, and finds its credential.
func configuration(t *testing.T, m *corev1.ConfigMap, pod corev1.PodTemplateSpec) {
	t.Helper()
	if bad := validation.IsDNS1123Subdomain(m.Name); len(bad) > 0 || m.Name == "dirsync-config" {
		t.Errorf("got the name %s %v, want one with a hash", m.Name, bad)
	}
	if got := volume(pod.Spec, "/etc/dirsync/config.yaml"); got == nil || got.ConfigMap == nil || got.ConfigMap.Name != m.Name {
		t.Errorf("got %v at /etc/dirsync, want the ConfigMap %s", got, m.Name)
	}
	var c struct {
		Tenants map[string]struct{ Credential map[string]string }
		Serve   struct{ Metrics string }
		Store   struct{ Path string }
	}
	if err := yaml.Unmarshal([]byte(m.Data["config.yaml"]), &c); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("[::]:%d", pod.Spec.Containers[0].Ports[0].ContainerPort); c.Serve.Metrics != want {
		t.Errorf("got metrics at %q, want %q", c.Serve.Metrics, want)
	}
	if !slices.ContainsFunc(pod.Spec.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool {
		return m.Name == "data" && m.MountPath == path.Dir(c.Store.Path)
	}) {
		t.Errorf("the store %q is not on the volume", c.Store.Path)
	}
	for name, tenant := range c.Tenants {
		for kind, place := range tenant.Credential {
			file, ok := strings.CutPrefix(place, "file:")
			if !ok || volume(pod.Spec, file) == nil {
				t.Errorf("the %s of %s is at %q, where nothing is mounted", kind, name, place)
				continue
			}
			if kind == "workload_identity" {
				if token := volume(pod.Spec, file).Projected.Sources[0].ServiceAccountToken; token.Path != path.Base(file) || token.Audience != "api://AzureADTokenExchange" {
					t.Errorf("got the token %+v for %s", token, file)
				}
			}
		}
	}
	if len(c.Tenants) == 0 {
		t.Error("there is no tenant")
	}
}

// volume is what a file of the first container lies on.
func volume(pod corev1.PodSpec, file string) *corev1.Volume {
	for _, m := range pod.Containers[0].VolumeMounts {
		if path.Dir(file) != m.MountPath {
			continue
		}
		if i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name }); i >= 0 {
			return &pod.Volumes[i]
		}
	}
	return nil
}
