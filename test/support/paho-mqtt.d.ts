/** As much of paho's client as tests use: it has no types of its own. */
declare module 'paho-mqtt' {
  interface Message {
    readonly destinationName: string;
    readonly payloadString: string;
  }
  class Client {
    constructor(host: string, port: number, path: string, id: string);
    onMessageArrived: (message: Message) => void;
    connect(options: { onSuccess: () => void; onFailure: (error: unknown) => void }): void;
    subscribe(filter: string, options: { qos: number; onSuccess: () => void }): void;
    send(topic: string, payload: string, qos: number, retained: boolean): void;
    disconnect(): void;
  }
  const paho: { readonly Client: typeof Client };
  export default paho;
}
