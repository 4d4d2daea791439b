// Installs or upgrades a chart through helm's Go library, as tools do that have it built in: there is no helm program,
// the chart comes from memory and the values were never a file. The settings are those that Cilium's own command line
// tool is known for: client-side apply, no waiting, at most ten revisions, on upgrade the values of before and the new.
//
//	helm-library install|upgrade CHART.tgz NAMESPACE RELEASE VALUES(JSON)
//
// The cluster is KUBECONFIG's.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/kube"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 5 {
		return fmt.Errorf("usage: helm-library install|upgrade CHART.tgz NAMESPACE RELEASE VALUES")
	}
	verb, archive, namespace, release := arguments[0], arguments[1], arguments[2], arguments[3]
	values := map[string]any{}
	if err := json.Unmarshal([]byte(arguments[4]), &values); err != nil {
		return err
	}
	packed, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	chart, err := loader.LoadArchive(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	flags := genericclioptions.NewConfigFlags(true)
	flags.Namespace = &namespace
	configuration := action.NewConfiguration()
	if err := configuration.Init(flags, namespace, "secret"); err != nil {
		return err
	}
	switch verb {
	case "install":
		install := action.NewInstall(configuration)
		install.ReleaseName, install.Namespace = release, namespace
		install.ServerSideApply, install.WaitStrategy = false, kube.HookOnlyStrategy
		install.Timeout = 5 * time.Minute
		_, err = install.Run(chart, values)
	case "upgrade":
		upgrade := action.NewUpgrade(configuration)
		upgrade.Namespace, upgrade.ResetThenReuseValues, upgrade.MaxHistory = namespace, true, 10
		upgrade.ServerSideApply, upgrade.WaitStrategy = "false", kube.HookOnlyStrategy
		upgrade.Timeout = 5 * time.Minute
		_, err = upgrade.Run(release, chart, values)
	default:
		err = fmt.Errorf("neither install nor upgrade: %s", verb)
	}
	return err
}
