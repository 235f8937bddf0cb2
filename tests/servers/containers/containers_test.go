package containers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/infra/drivers/gcp"
	"github.com/piecework/piecework/infra/drivers/mongo"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/conformance"
)

// start runs an image until the test ends and returns where its port is reached.
func start(t *testing.T, req testcontainers.ContainerRequest) string {
	t.Helper()
	if err := engine(t.Context()); err != nil {
		t.Skipf("no Docker engine: %v", err)
	}
	c, err := testcontainers.GenericContainer(t.Context(), testcontainers.GenericContainerRequest{ContainerRequest: req, Started: true})
	testcontainers.CleanupContainer(t, c)
	if c == nil {
		t.Skipf("no image %s: %v", req.Image, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	host, err := c.PortEndpoint(t.Context(), req.ExposedPorts[0], "")
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// engine is an error if there is no Docker engine. The library panics where it finds no configuration for one.
func engine(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return err
	}
	defer provider.Close()
	return provider.Health(ctx)
}

// stores runs the store suite; url makes the URL of the n-th collection.
func stores(t *testing.T, set *drivers.Set, h conformance.StoreHarness, url func(n int) string) {
	t.Helper()
	n := 0
	h.New = func(t *testing.T) conformance.OpenStore {
		n++
		return conformance.NewStore(t, set, url(n))
	}
	conformance.Store(t, h)
}

func TestMongoDB(t *testing.T) {
	host := start(t, testcontainers.ContainerRequest{
		Image: "mongo:7.0", ExposedPorts: []string{"27017/tcp"}, Cmd: []string{"mongod", "--bind_ip_all"},
		WaitingFor: wait.ForLog("Waiting for connections"),
	})
	stores(t, drivers.New(mongo.Register), conformance.StoreHarness{
		TTL: store.TTLTime, Deletes: 3 * time.Minute, // it looks once a minute
	}, func(n int) string {
		return fmt.Sprintf("mongodb://%s/piecework?collection=jobs%d&ttl=true", host, n)
	})
}

func TestCosmosDB(t *testing.T) {
	host := start(t, testcontainers.ContainerRequest{
		Image: "mcr.microsoft.com/cosmosdb/linux/azure-cosmos-emulator:mongodb", ExposedPorts: []string{"10255/tcp"},
		Env:        map[string]string{"AZURE_COSMOS_EMULATOR_ENABLE_MONGODB_ENDPOINT": "4.0", "AZURE_COSMOS_EMULATOR_PARTITION_COUNT": "3"},
		WaitingFor: wait.ForLog("Started").WithStartupTimeout(5 * time.Minute),
	})
	const key = "C2y6yDjf5%2FR%2Bob0N8A7Cgv30VRDJIWEHLM%2B4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw%2FJw%3D%3D" // everybody's
	stores(t, drivers.New(mongo.Register), conformance.StoreHarness{Records: 1000}, func(n int) string {
		return fmt.Sprintf("mongodb://localhost:%s@%s/piecework?collection=jobs%d&cosmos=ru&tls=true&tlsInsecure=true", key, host, n)
	})
}

func TestDynamoDBLocal(t *testing.T) {
	credentials(t)
	host := start(t, testcontainers.ContainerRequest{
		Image: "amazon/dynamodb-local:2.5.2", ExposedPorts: []string{"8000/tcp"}, WaitingFor: wait.ForListeningPort("8000/tcp"),
	})
	stores(t, drivers.New(aws.Register), conformance.StoreHarness{Indexed: byIndex}, func(n int) string {
		return fmt.Sprintf("dynamodb://jobs-%d?region=us-east-1&endpoint=http://%s", n, host)
	})
}

func TestLocalStack(t *testing.T) {
	credentials(t)
	host := start(t, testcontainers.ContainerRequest{
		Image: "localstack/localstack:3.8", ExposedPorts: []string{"4566/tcp"}, Env: map[string]string{"SERVICES": "dynamodb"},
		WaitingFor: wait.ForHTTP("/_localstack/health").WithPort("4566/tcp").WithStartupTimeout(2 * time.Minute),
	})
	stores(t, drivers.New(aws.Register), conformance.StoreHarness{Indexed: byIndex, Records: 2000}, func(n int) string {
		return fmt.Sprintf("dynamodb://jobs-%d?region=us-east-1&endpoint=http://%s", n, host)
	})
}

func TestFirestore(t *testing.T) {
	host := start(t, testcontainers.ContainerRequest{
		Image: "gcr.io/google.com/cloudsdktool/google-cloud-cli:emulators", ExposedPorts: []string{"8080/tcp"},
		Cmd:        []string{"gcloud", "emulators", "firestore", "start", "--host-port=0.0.0.0:8080"},
		WaitingFor: wait.ForLog("running").WithStartupTimeout(2 * time.Minute),
	})
	t.Setenv("FIRESTORE_EMULATOR_HOST", host)
	set, n := drivers.New(gcp.Register), 0
	conformance.Store(t, conformance.StoreHarness{
		Records: 2000, // the emulator reads every document of the collection for each query
		New: func(*testing.T) conformance.OpenStore {
			n++
			return conformance.StoreOf(set, fmt.Sprintf("firestore://piecework-test/jobs-%d", n))
		},
	})
}

// byIndex reads what the driver of DynamoDB says of a query.
func byIndex(plan string) bool { return strings.HasPrefix(plan, "Index: ") }

// credentials are what the SDK wants for emulators too.
func credentials(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test-secret", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
}
