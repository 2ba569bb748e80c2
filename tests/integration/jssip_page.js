// Two JsSIP user agents in one page; tests drive them through window.phones.
const agents = {};
const sessions = {};
const log = [];

function started(agent) {
  return new Promise((resolve, reject) => {
    agent.on('registered', event => resolve(event.response.status_code));
    agent.on('registrationFailed', event => reject(new Error(`${event.cause} ${event.response?.status_code}`)));
    agent.start();
  });
}

function when(session, wanted) {
  return new Promise((resolve, reject) => {
    session.on(wanted, resolve);
    session.on('failed', event => wanted === 'failed' ? resolve(event) : reject(new Error(event.cause)));
  });
}

window.phones = {
  log,

  register(url, user, password, domain) {
    const agent = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(url)],
      uri: `sip:${user}@${domain}`,
      password,
      register_expires: 300,
      session_timers: false,
    });
    agents[user] = agent;
    agent.on('newRTCSession', ({originator, session}) => {
      sessions[user] = session;
      // Nothing is decoded that nobody listens to.
      const listen = connection => connection.addEventListener('track', ({streams}) => {
        const speaker = new Audio();
        speaker.srcObject = streams[0];
        speaker.play();
      });
      if (session.connection) listen(session.connection);
      else session.on('peerconnection', ({peerconnection}) => listen(peerconnection));
      if (originator === 'remote') {
        log.push(`${user} is called by ${session.remote_identity.uri.user}`);
        session.answer({mediaConstraints: {audio: true, video: false}, pcConfig: {iceServers: []}});
      }
    });
    return started(agent);
  },

  async call(from, uri) {
    const session = agents[from].call(uri, {mediaConstraints: {audio: true, video: false}, pcConfig: {iceServers: []}});
    await when(session, 'confirmed');
  },

  // Bytes of sound that have arrived, once there are some.
  async heard(user) {
    for (;;) {
      const stats = await sessions[user].connection.getStats();
      for (const report of stats.values()) {
        if (report.type === 'inbound-rtp' && report.bytesReceived > 0 && report.totalAudioEnergy > 0) return report.bytesReceived;
      }
      await new Promise(resolve => setTimeout(resolve, 50));
    }
  },

  async hangup(from, other) {
    const ended = new Promise(resolve => sessions[other].on('ended', event => resolve(event.originator)));
    sessions[from].terminate();
    return ended;
  },

  async unregister(user) {
    const done = new Promise(resolve => agents[user].on('unregistered', () => resolve(true)));
    agents[user].unregister({all: true});
    await done;
    agents[user].stop();
    return true;
  },
};
