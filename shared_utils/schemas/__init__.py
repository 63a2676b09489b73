"""The contracts in other languages: Avro and AsyncAPI. JSON Schema is pydantic's own."""
